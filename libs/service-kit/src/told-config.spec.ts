import { describe, expect, it } from '@jest/globals';
import { toldConfig } from './told-config.js';

describe('a configuration that is told', () => {
  it('keeps what it says, but for who logs in where', () => {
    const config = {
      POSTHORN_DATABASE_URL: 'postgres://user:hunter2@db.internal:5432/posthorn?password=hunter2',
      OTEL_EXPORTER_OTLP_ENDPOINT: 'https://user:hunter2@collector:4318/base',
      POSTHORN_EGRESS_ALLOW_CIDRS: 'fd00::/8',
      POSTHORN_KAFKA_BROKERS: ['kafka:9092'],
      POSTHORN_TOPIC_PREFIX: 'a:b',
      PORT: 0,
      HOST: undefined,
    };
    expect(toldConfig(config)).toEqual({
      ...config,
      POSTHORN_DATABASE_URL: 'postgres://db.internal:5432/posthorn',
      OTEL_EXPORTER_OTLP_ENDPOINT: 'https://collector:4318/base',
    });
  });
});
