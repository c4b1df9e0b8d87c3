import { describe, expect, it } from '@jest/globals';
import { z } from 'zod';
import { commonConfig, databaseConfig, egressConfig, encryptionConfig } from './config.js';
import { configurationTable } from './config-table.js';

const described = (name: string, shape: z.ZodRawShape, defaultPort = 1) => ({ name, config: z.object(shape), defaultPort });

describe('configurationTable', () => {
  it('tells of each variable its default, its readers and its meaning, the most read first', () => {
    const own = z.string().default('x').describe('Either | or');
    const table = configurationTable([
      described('a', { OWN: own, LEVEL: z.string().describe('How loud') }),
      described('b', { LEVEL: z.string().describe('How loud'), PORT: z.string().optional().describe('Door') }, 8081),
    ]);
    expect(table.split('\n').slice(2)).toEqual([
      '| `LEVEL` | **required** | all | How loud |',
      String.raw`| ${'`OWN`'} | ${'`x`'} | a | Either \| or |`,
      '| `PORT` |  | b (`8081`) | Door |',
      '',
    ]);
  });

  it('tells the default of the gRPC port of whoever has one', () => {
    const grpc = described('a', { GRPC_PORT: z.string().optional().describe('Other door') });
    expect(configurationTable([{ ...grpc, defaultGrpcPort: 9081 }])).toContain('| a (`9081`) |');
  });

  it.each([
    ['a transformed default', z.string().default('a,b').transform((text) => text.split(',')), '`a,b`'],
    ['an empty one', z.string().default(''), ''],
    ['one that is transformed itself', z.string().transform(Number).prefault('7'), '`7`'],
    ['a transformed text', z.string().transform(Number), '**required**'],
  ])('knows the default of %s', (_what, schema, shown) => {
    expect(configurationTable([described('a', { X: schema.describe('x') })])).toContain(`| \`X\` | ${shown} | all |`);
  });

  it('finds a description on every variable of ours', () => {
    const table = configurationTable([described('all', { ...commonConfig, ...databaseConfig, ...egressConfig, ...encryptionConfig })]);
    expect(table).toContain('| `LOG_LEVEL` | `info` |');
    expect(table).toContain('| `POSTHORN_KAFKA_BROKERS` | **required** |');
  });

  it('fails on a variable without a description, and on one that is described twice', () => {
    expect(() => configurationTable([described('a', { BARE: z.string() })])).toThrow('a: BARE has no description');
    const twice = [described('a', { X: z.string().describe('this') }), described('b', { X: z.string().describe('that') })];
    expect(() => configurationTable(twice)).toThrow('b: X is described otherwise by a');
  });
});
