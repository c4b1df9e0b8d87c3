import { describe, expect, it } from '@jest/globals';
import { z } from 'zod';
import { commonConfig, ConfigError, databaseConfig, egressConfig, flag, integer, kafkaSettings, processConfig, readConfig } from './config.js';

const schema = z.object({ ...commonConfig, ...databaseConfig });
const enough = { POSTHORN_KAFKA_BROKERS: 'a:9092, b:9093', POSTHORN_DATABASE_URL: 'postgres://u@h/d' };

const issuesOf = (env: Record<string, string>): Record<string, string> => {
  try {
    readConfig(schema, env);
  } catch (error) {
    if (error instanceof ConfigError) return Object.fromEntries(error.issues.map(({ variable, message }) => [variable, message]));
  }
  return {};
};

describe('readConfig', () => {
  it('fills in the defaults', () => {
    expect(readConfig(schema, enough)).toEqual({
      ...enough,
      POSTHORN_KAFKA_BROKERS: ['a:9092', 'b:9093'],
      POSTHORN_KAFKA_SSL: false,
      POSTHORN_TOPIC_PREFIX: 'posthorn',
      POSTHORN_EXIT_WITH_PARENT: false,
      OTEL_TRACES_SAMPLER_ARG: 0.01,
      LOG_LEVEL: 'info',
    });
  });

  it('names every error at once, one line each', () => {
    const env = { PORT: '99999', LOG_LEVEL: 'loud', POSTHORN_KAFKA_SSL: 'perhaps', POSTHORN_DATABASE_URL: 'mysql://h/d' };
    expect(Object.keys(issuesOf(env)).sort()).toEqual([
      'LOG_LEVEL',
      'PORT',
      'POSTHORN_DATABASE_URL',
      'POSTHORN_KAFKA_BROKERS',
      'POSTHORN_KAFKA_SSL',
    ]);
    expect(() => readConfig(schema, env)).toThrow(/^The configuration has 5 errors:\n(  \w+ +.+\n?){5}$/);
  });

  it('tells the place of an error in a variable that holds JSON', () => {
    const doors = z.string().transform((text): unknown => JSON.parse(text)).pipe(z.array(z.strictObject({ name: z.string('a string') })));
    const read = () => readConfig(z.object({ DOORS: doors }), { DOORS: '[{"name":"a"},{"name":1,"nmae":"b"}]' });
    expect(read).toThrow(/^The configuration has 2 errors:\n {2}DOORS\[1\]\.name {2}a string\n {2}DOORS\[1\]\.nmae {2}is not known here$/);
  });

  it('calls a variable that is empty not set', () => {
    expect(issuesOf({ ...enough, POSTHORN_DATABASE_URL: '' })).toEqual({ POSTHORN_DATABASE_URL: 'is not set' });
    expect(readConfig(schema, { ...enough, LOG_LEVEL: '' }).LOG_LEVEL).toBe('info');
  });

  it('never repeats a value, which may be a secret', () => {
    expect(JSON.stringify(issuesOf({ POSTHORN_ADMIN_API_KEY: 'tooshort', POSTHORN_DATABASE_URL: 'hunter2' }))).not.toMatch(/tooshort|hunter2/);
  });

  it('asks for user and password once a login is chosen, together with the other errors', () => {
    expect(issuesOf({ POSTHORN_KAFKA_SASL_MECHANISM: 'plain', POSTHORN_KAFKA_SASL_USERNAME: 'u', ...enough, PORT: 'x' })).toEqual({
      PORT: 'a whole number',
      POSTHORN_KAFKA_SASL_PASSWORD: 'is not set, but POSTHORN_KAFKA_SASL_MECHANISM is',
    });
  });

  it('does not ask a service without Kafka for brokers', () => {
    expect(readConfig(z.object(processConfig), { PORT: '0' }).PORT).toBe(0);
  });
});

describe('integer', () => {
  it.each(['1.5', '1e3', '0x10', ' 7', 'NaN', '11', '-1'])('refuses %j', (text) => {
    expect(integer(0, 10).safeParse(text).success).toBe(false);
  });

  it('takes its ends', () => {
    expect([integer(0, 10).parse('0'), integer(0, 10).parse('10')]).toEqual([0, 10]);
  });
});

describe('flag', () => {
  it('takes true, 1, false and 0', () => {
    expect(['true', '1', 'false', '0'].map((text) => flag.parse(text))).toEqual([true, true, false, false]);
    expect(flag.safeParse('yes').success).toBe(false);
  });
});

describe('kafkaSettings', () => {
  it('carries brokers, prefix and login', () => {
    const login = {
      POSTHORN_KAFKA_SASL_MECHANISM: 'scram-sha-512',
      POSTHORN_KAFKA_SASL_USERNAME: 'u',
      POSTHORN_KAFKA_SASL_PASSWORD: 'p',
      POSTHORN_KAFKA_SSL: 'true',
      POSTHORN_TOPIC_PREFIX: 'acme',
    };
    expect(kafkaSettings(readConfig(schema, { ...enough, ...login }), 'dispatcher')).toEqual({
      brokers: ['a:9092', 'b:9093'],
      ssl: true,
      sasl: { mechanism: 'scram-sha-512', username: 'u', password: 'p' },
      clientId: 'dispatcher',
      topicPrefix: 'acme',
    });
  });

  it('has no login when none is chosen', () => {
    expect(kafkaSettings(readConfig(schema, enough), 'x')).not.toHaveProperty('sasl');
  });
});

const nameServersIn = (text: string) => readConfig(z.object(egressConfig), { POSTHORN_DNS_SERVERS: text }).POSTHORN_DNS_SERVERS;

describe('name servers', () => {
  it('are addresses, with a port or without', () => {
    expect(nameServersIn('10.0.0.53, 127.0.0.1:5353,::1, [fd00::53]:53')).toEqual(['10.0.0.53', '127.0.0.1:5353', '::1', '[fd00::53]:53']);
    expect(readConfig(z.object(egressConfig), {}).POSTHORN_DNS_SERVERS).toBeUndefined();
  });

  it.each(['dns.example', 'dns.example:53', '10.0.0.53:', '10.0.0:53', '[fd00::53', '10.0.0.53,', '10.0.0.53;10.0.0.54'])('are not %j', (text) => {
    expect(() => nameServersIn(text)).toThrow('an address like 10.0.0.53');
  });
});

describe('the share of the traces that are recorded', () => {
  it.each([['0', 0], ['1', 1], ['0.05', 0.05], ['.5', 0.5], ['1.0', 1]])('may be %s', (text, ratio) => {
    expect(readConfig(schema, { ...enough, OTEL_TRACES_SAMPLER_ARG: text }).OTEL_TRACES_SAMPLER_ARG).toBe(ratio);
  });

  it.each(['1.5', '-0.1', '5%', '1e-3', 'all'])('cannot be %s', (text) => {
    expect(() => readConfig(schema, { ...enough, OTEL_TRACES_SAMPLER_ARG: text })).toThrow('a share from 0 to 1');
  });
});
