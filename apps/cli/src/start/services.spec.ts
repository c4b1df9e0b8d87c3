import { describe, expect, it } from '@jest/globals';
import { envFile, environmentOf, services, stopGroups, type Settings } from './services.js';

const settings: Settings = {
  ports: { gateway: 1, 'subscription-registry': 2, 'event-ingestion': 3, dispatcher: 4, 'delivery-audit': 5 },
  grpcPorts: { 'subscription-registry': 6 },
  brokers: '127.0.0.1:9092',
  databaseUrl: 'postgres://u:p@127.0.0.1/d',
  adminApiKey: 'phk_x',
  encryptionKeys: 'local:AAAA',
};

describe('the env file', () => {
  it('holds the addresses, the key and each process, a line each', () => {
    expect(envFile(settings, new Map([['event-ingestion', 77]])).trimEnd().split('\n')).toEqual([
      'POSTHORN_URL=http://127.0.0.1:1',
      'POSTHORN_ADMIN_API_KEY=phk_x',
      'POSTHORN_KAFKA_BROKERS=127.0.0.1:9092',
      'POSTHORN_DATABASE_URL=postgres://u:p@127.0.0.1/d',
      'POSTHORN_SUBSCRIPTION_REGISTRY_URL=http://127.0.0.1:2',
      'POSTHORN_EVENT_INGESTION_URL=http://127.0.0.1:3',
      'POSTHORN_DISPATCHER_URL=http://127.0.0.1:4',
      'POSTHORN_DELIVERY_AUDIT_URL=http://127.0.0.1:5',
      'POSTHORN_GATEWAY_URL=http://127.0.0.1:1',
      'POSTHORN_SUBSCRIPTION_REGISTRY_GRPC_ADDRESS=127.0.0.1:6',
      'POSTHORN_EVENT_INGESTION_PID=77',
    ]);
  });
});

describe("a service's environment", () => {
  it.each(services.map(({ name }) => name))('%s listens on loopback only and ends with its parent', (name) => {
    expect(environmentOf(name, settings)).toMatchObject({ HOST: '127.0.0.1', PORT: String(settings.ports[name]), POSTHORN_EXIT_WITH_PARENT: '1' });
  });

  it('has a port for gRPC where it speaks that', () => {
    expect(environmentOf('subscription-registry', settings)).toHaveProperty('GRPC_PORT', '6');
    expect(environmentOf('dispatcher', settings)).not.toHaveProperty('GRPC_PORT');
  });

  it('names all others to the gateway, the audit to the registry, the ingestion to the audit', () => {
    expect(environmentOf('gateway', settings)).toHaveProperty('POSTHORN_DELIVERY_AUDIT_URL', 'http://127.0.0.1:5');
    expect(environmentOf('subscription-registry', settings)).toHaveProperty('POSTHORN_DELIVERY_AUDIT_URL', 'http://127.0.0.1:5');
    expect(environmentOf('delivery-audit', settings)).toHaveProperty('POSTHORN_EVENT_INGESTION_URL', 'http://127.0.0.1:3');
    expect(environmentOf('delivery-audit', settings)).not.toHaveProperty('POSTHORN_GATEWAY_URL');
    expect(environmentOf('subscription-registry', settings)).not.toHaveProperty('POSTHORN_DISPATCHER_URL');
    expect(environmentOf('dispatcher', settings)).not.toHaveProperty('POSTHORN_DELIVERY_AUDIT_URL');
  });
});

describe('stopping', () => {
  it('begins where work comes in and ends where it is written down', () => {
    expect(stopGroups()).toEqual([['gateway'], ['event-ingestion'], ['dispatcher'], ['subscription-registry', 'delivery-audit']]);
  });
});
