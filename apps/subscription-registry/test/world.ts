import { randomBytes } from 'node:crypto';
import type { Server } from 'node:http';
import { topicOnBroker, type DomainEventRecord, type RegistryState } from '@posthorn/contracts';
import { Kafka, type KafkaOptions } from '@posthorn/kafka';
import { removeTopics } from '@posthorn/kafka/testing';
import { Access, authorizer, createHttpApp, createLog, Health, kafkaSettings, readConfig } from '@posthorn/service-kit';
import { GrpcDoor } from '@posthorn/service-kit/grpc';
import { Client, Pool } from 'pg';
import { Registry } from 'prom-client';
import { registryApi } from '../src/api.js';
import { registryModule } from '../src/app.module.js';
import { allowLargeBatches } from '../src/body-limits.js';
import { registryConfig } from '../src/config.js';
import { registryCalls } from '../src/grpc/registry-calls.js';

export const API_KEY = 'phk_for_the_tests_of_the_registry';

/** A database and topics of our own, and as many registries on them as a test starts. */
export type World = {
  readonly databaseUrl: string;
  readonly pool: Pool;
  readonly boot: (env?: Readonly<Record<string, string>>, kafka?: KafkaOptions) => Promise<Service>;
  /** Everything that is in a topic now. */
  readonly readTopic: (name: 'registry.log' | 'registry.state') => Promise<readonly TopicRecord[]>;
  readonly destroy: () => Promise<void>;
};

export type TopicRecord = {
  readonly key: string;
  readonly position: number;
  readonly kind: string | undefined;
  readonly schema: string | undefined;
  readonly text: string | undefined;
};

export type Answer = {
  readonly status: number;
  readonly headers: Headers;
  // What a test reads out of an answer is the test's affair.
  readonly body: Readonly<Record<string, unknown>>;
};

export type Service = {
  readonly origin: string;
  readonly grpcAddress: string;
  readonly config: ReturnType<typeof readConfig<typeof registryConfig>>;
  readonly health: Health;
  readonly metrics: Registry;
  readonly call: (method: string, path: string, body?: unknown, headers?: Readonly<Record<string, string>>) => Promise<Answer>;
  readonly stop: () => Promise<void>;
};

const onServer = async (sql: string): Promise<void> => {
  const client = new Client(process.env['POSTHORN_DATABASE_URL']);
  await client.connect();
  await client.query(sql).finally(() => client.end());
};

export const createWorld = async (): Promise<World> => {
  const name = `t${randomBytes(6).toString('hex')}`;
  await onServer(`create database ${name}`);
  const databaseUrl = Object.assign(new URL(process.env['POSTHORN_DATABASE_URL'] ?? ''), { pathname: `/${name}` }).href;
  const environment = {
    POSTHORN_KAFKA_BROKERS: process.env['POSTHORN_KAFKA_BROKERS'],
    POSTHORN_DATABASE_URL: databaseUrl,
    POSTHORN_TOPIC_PREFIX: name,
    POSTHORN_ENCRYPTION_KEYS: `k1:${randomBytes(32).toString('base64')}`,
    POSTHORN_ADMIN_API_KEY: API_KEY,
  };
  const log = createLog('test', 'silent');
  const kafka = new Kafka(kafkaSettings(readConfig(registryConfig, environment), 'test'), log);
  const pool = new Pool({ connectionString: databaseUrl });
  const services: Service[] = [];
  return {
    databaseUrl,
    pool,
    boot: async (env = {}, kafkaOptions = {}) => {
      const service = await boot({ ...environment, ...env }, kafkaOptions);
      services.push(service);
      return service;
    },
    readTopic: async (topic) => {
      const records: TopicRecord[] = [];
      const following = await kafka.follow({
        topic: topicOnBroker(name, topic),
        onRecord: ({ key, value, headers }) =>
          records.push({
            key: String(key),
            position: Number(headers['position']),
            kind: headers['kind']?.toString(),
            schema: headers['schema']?.toString(),
            text: value?.toString(),
          }),
      });
      await following.caughtUp;
      await following.close();
      return records;
    },
    destroy: async () => {
      for (const service of services) await service.stop();
      await kafka.close();
      await removeTopics(process.env['POSTHORN_KAFKA_BROKERS'] ?? '', name);
      await pool.end();
      await onServer(`drop database ${name} with (force)`);
    },
  };
};

/** The service as `runService` puts it together, without the process around it. */
const boot = async (environment: NodeJS.ProcessEnv, kafkaOptions: KafkaOptions): Promise<Service> => {
  const config = readConfig(registryConfig, environment);
  // What ends the process ends the tests: let it say why.
  const log = createLog('subscription-registry', 'fatal');
  const closers: (() => Promise<void>)[] = [];
  const kafka = new Kafka(kafkaSettings(config, 'subscription-registry'), log, kafkaOptions);
  closers.push(() => kafka.close());
  const health = new Health();
  const metrics = new Registry();
  const access = new Access({ kafka, service: 'subscription-registry', adminKey: config.POSTHORN_ADMIN_API_KEY, log });
  const module = await registryModule(config, {
    log,
    metrics,
    health,
    kafka,
    registryState: access.registryState,
    onShutdown: (_what, close) => closers.push(close),
    stopping: new AbortController().signal,
  });
  const app = await createHttpApp({ module, log, authenticate: access.authenticate, observe: () => undefined, fastify: allowLargeBatches, api: registryApi });
  closers.push(async () => {
    // As the front door does: a connection whose last answer was begun before the end is kept alive for longer than any test waits.
    const sweep = setInterval(() => (app.getHttpServer() as Server).closeIdleConnections(), 50);
    await app.close().finally(() => clearInterval(sweep));
  });
  await access.start(health);
  await access.registryState.caughtUp;
  await app.listen(0, '127.0.0.1');
  const origin = await app.getUrl();
  const grpc = new GrpcDoor({ services: registryCalls(app), authorize: authorizer(access.authenticate), health, metrics, log });
  closers.push(() => grpc.close());
  const grpcAddress = `127.0.0.1:${await grpc.open(0, '127.0.0.1')}`;
  return {
    origin,
    grpcAddress,
    config,
    health,
    metrics,
    call: async (method, path, body, headers = {}) => {
      const response = await fetch(`${origin}/v1${path}`, {
        method,
        headers: {
          authorization: `Bearer ${API_KEY}`,
          ...(body !== undefined && { 'content-type': 'application/json' }),
          ...headers,
        },
        ...(body !== undefined && { body: JSON.stringify(body) }),
      });
      const text = await response.text();
      return {
        status: response.status,
        headers: response.headers,
        body: text === '' ? {} : (JSON.parse(text) as Record<string, unknown>),
      };
    },
    stop: async () => {
      for (let close = closers.pop(); close; close = closers.pop()) await close();
    },
  };
};

export const stateIn = ({ text = '' }: TopicRecord): RegistryState => JSON.parse(text) as RegistryState;
export const eventIn = ({ text = '' }: TopicRecord): DomainEventRecord => JSON.parse(text) as DomainEventRecord;

export const idOf = ({ body }: Answer): string => String(body['id']);
export const positionOf = ({ headers }: Answer): number => Number(headers.get('posthorn-registry-position'));
export const idsIn = ({ body }: Answer): readonly unknown[] => (body['data'] as { id: unknown }[]).map(({ id }) => id);
