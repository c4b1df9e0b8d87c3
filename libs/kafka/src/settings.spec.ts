import { describe, expect, it, jest } from '@jest/globals';
import kafkajs from 'kafkajs';
import { clientConfig, type KafkaSettings, type Logger } from './settings.js';

const settings: KafkaSettings = { brokers: ['a:9092', 'b:9092'], ssl: false, clientId: 'test', topicPrefix: 'posthorn' };

const quiet = () => ({ debug: jest.fn(), info: jest.fn(), warn: jest.fn(), error: jest.fn(), fatal: jest.fn() }) satisfies Logger;

describe('client configuration', () => {
  it('has neither TLS nor SASL unless asked for', () => {
    const config = clientConfig(settings, quiet());
    expect(config).toMatchObject({ brokers: ['a:9092', 'b:9092'], clientId: 'test', ssl: false });
    expect(config).not.toHaveProperty('sasl');
  });

  it.each(['plain', 'scram-sha-256', 'scram-sha-512'] as const)('passes %s on', (mechanism) => {
    const sasl = { mechanism, username: 'posthorn', password: 'secret' };
    expect(clientConfig({ ...settings, ssl: true, sasl }, quiet())).toMatchObject({ ssl: true, sasl });
  });

  it('logs as debug whatever the client says, but nothing of the level that holds whole requests', () => {
    const log = quiet();
    const write = clientConfig(settings, log).logCreator?.(kafkajs.logLevel.INFO);
    const entry = { namespace: 'Connection', label: 'ERROR', log: { timestamp: '', logger: 'kafkajs', message: 'text', broker: 'a:9092' } };
    for (const level of [kafkajs.logLevel.DEBUG, kafkajs.logLevel.ERROR]) write?.({ ...entry, level });
    expect(log.debug.mock.calls).toEqual([[{ broker: 'a:9092', client: 'Connection', label: 'ERROR' }, 'kafka client: text']]);
    expect([log.info, log.warn, log.error].flatMap(({ mock }) => mock.calls)).toEqual([]);
  });
});
