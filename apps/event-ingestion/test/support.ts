import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { type AggregateState, type Envelope, type JsonSchema, type Rejection, type TenantState, type TopicName, unframe } from '@posthorn/contracts';
import { createDatabase, eventually, NODE_FLAGS } from '@posthorn/testkit';
import { type FollowedRecord, Kafka, type KafkaOptions, type OutgoingRecord } from '@posthorn/kafka';
import { removeTopics } from '@posthorn/kafka/testing';

export const API_KEY = 'phk_0123456789abcdef';
export const CREATED_AT = '2026-01-02T03:04:05.678Z';

const silent = { debug() {}, info() {}, warn() {}, error() {}, fatal() {} };

const brokers = (): string => {
  const value = process.env['POSTHORN_KAFKA_BROKERS'];
  if (value === undefined) throw new Error('POSTHORN_KAFKA_BROKERS is not set');
  return value;
};

/** What a topic has come to hold, with a way to wait for more. */
export class Arrivals<T> {
  readonly #all: T[] = [];
  #waiters: (() => void)[] = [];

  push(arrival: T): void {
    this.#all.push(arrival);
    for (const wake of this.#waiters.splice(0)) wake();
  }

  get all(): readonly T[] {
    return this.#all;
  }

  /** The first one that is meant, now or later; jest's timeout ends the wait. */
  async first(meant: (arrival: T) => boolean): Promise<T> {
    for (;;) {
      const found = this.#all.find(meant);
      if (found !== undefined) return found;
      await new Promise<void>((resolve) => this.#waiters.push(resolve));
    }
  }

  async until(enough: (all: readonly T[]) => boolean): Promise<void> {
    while (!enough(this.#all)) await new Promise<void>((resolve) => this.#waiters.push(resolve));
  }
}

export type AcceptedEvent = { readonly key: string; readonly envelope: Envelope; readonly data: Buffer };

const readAccepted = ({ key, value }: FollowedRecord): AcceptedEvent => {
  const { head, data } = unframe<Envelope>(Buffer.from(value ?? ''));
  return { key: String(key), envelope: head, data };
};

const databaseServer = (): string => {
  const value = process.env['POSTHORN_DATABASE_URL'];
  if (value === undefined) throw new Error('POSTHORN_DATABASE_URL is not set');
  return value;
};

/** What `openKafka` has made beside the topics. */
export const databaseOf = (topicPrefix: string): string => Object.assign(new URL(databaseServer()), { pathname: `/${topicPrefix}` }).href;

export const connect = (topicPrefix: string, options?: KafkaOptions): Kafka =>
  new Kafka({ brokers: brokers().split(','), ssl: false, clientId: 'test', topicPrefix }, silent, options);

/** Kafka under a topic prefix of the test's own, and a database of that name; with what the service reads and writes there. */
export const openKafka = async (topicPrefix: string) => {
  const database = await createDatabase(databaseServer(), topicPrefix);
  const kafka = connect(topicPrefix);
  await kafka.ensureTopics(['events.inbound', 'events.accepted', 'events.rejected', 'registry.state']);
  const producer = await kafka.producer();
  const accepted = new Arrivals<AcceptedEvent>();
  const rejected = new Arrivals<Rejection>();
  await kafka.follow({ topic: kafka.topic('events.accepted'), onRecord: (record) => accepted.push(readAccepted(record)) });
  await kafka.follow({
    topic: kafka.topic('events.rejected'),
    onRecord: ({ value }) => rejected.push(JSON.parse(String(value)) as Rejection), // written by the service under test
  });
  const send = (topic: TopicName, value: string | Buffer | null, more: { key?: string; partition?: number; headers?: Record<string, string> } = {}) =>
    producer.send({ topic: kafka.topic(topic), value, ...more });
  const publishState = (state: AggregateState, position = 1) =>
    send('registry.state', JSON.stringify({ position, version: 1, state }), {
      key: state.id,
      headers: { schema: '1', kind: state.kind, position: String(position) },
    });
  const publishEnd = (kind: AggregateState['kind'], id: string) =>
    send('registry.state', null, { key: id, headers: { schema: '1', kind, position: '2' } });
  const createTenant = (id: string, more: Partial<TenantState['settings']> = {}) => {
    const settings = { schema_policy: 'warn', unknown_event_types: 'accept', retention_ms: 86_400_000, ...more } as const;
    return publishState({ kind: 'tenant', id, name: id, settings, created_at: CREATED_AT, updated_at: CREATED_AT });
  };
  const createEventType = (tenant: string, name: string, schema?: JsonSchema, position?: number) =>
    publishState(
      { kind: 'event_type', id: `${tenant}/${name}`, tenant, name, description: '', version: 1, schema, archived: false, created_at: CREATED_AT, updated_at: CREATED_AT },
      position,
    );
  /** To any topic, by its name on the broker. */
  const sendTo = (topic: string, record: Omit<OutgoingRecord, 'topic'>) => producer.send({ topic, ...record });
  const close = async (): Promise<void> => {
    await kafka.close();
    await removeTopics(brokers(), topicPrefix);
    await database.drop();
  };
  return { kafka, accepted, rejected, send, sendTo, publishState, publishEnd, createTenant, createEventType, close };
};

/** A topic that is none of ours, as the catalogue makes one under another prefix; its name on the broker. */
export const makeTopicOfOthers = async (owner: string, partitions: number): Promise<string> => {
  const kafka = connect(owner, { partitions });
  await kafka.ensureTopics(['events.inbound']);
  await kafka.close();
  return kafka.topic('events.inbound');
};

export type Service = { readonly url: string; readonly grpcAddress: string; readonly process: ChildProcess; readonly stop: (signal: NodeJS.Signals) => Promise<void> };

type Readiness = { readonly reasons?: readonly { readonly name: string }[] };

/** Whether clients are served; a topic of others that is missing keeps them from nothing. */
const serves = async (url: string): Promise<boolean> => {
  const { reasons = [] } = (await (await fetch(`${url}/readyz`)).json()) as Readiness;
  return reasons.every(({ name }) => name.startsWith('kafka door '));
};

/** The service as it runs in earnest, its own process, built; when it is ready to serve. */
export const startService = async (topicPrefix: string, settings: Readonly<Record<string, string>> = {}): Promise<Service> => {
  const child = spawn(process.execPath, [...NODE_FLAGS, new URL('../dist/main.js', import.meta.url).pathname], {
    stdio: ['pipe', 'pipe', 'inherit'],
    env: {
      PATH: process.env['PATH'],
      PORT: '0',
      GRPC_PORT: '0',
      HOST: '127.0.0.1',
      POSTHORN_KAFKA_BROKERS: brokers(),
      POSTHORN_DATABASE_URL: databaseOf(topicPrefix),
      POSTHORN_TOPIC_PREFIX: topicPrefix,
      POSTHORN_ADMIN_API_KEY: API_KEY,
      POSTHORN_EXIT_WITH_PARENT: 'true',
      ...settings,
    },
  });
  const { port, grpc_port } = await new Promise<{ port: number; grpc_port: number }>((resolve, reject) => {
    child.once('exit', (code) => reject(new Error(`event-ingestion ended with ${code} at its start`)));
    const lines = createInterface({ input: child.stdout });
    lines.on('line', (line) => {
      const { msg, ...ports } = JSON.parse(line) as { msg: string; port: number; grpc_port: number };
      if (msg === 'listening') resolve(ports);
    });
  });
  const url = `http://127.0.0.1:${port}`;
  await eventually(() => serves(url), { timeoutMs: 20_000, describe: 'event-ingestion to be ready' });
  const stop = async (signal: NodeJS.Signals): Promise<void> => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const exited = once(child, 'exit');
    child.kill(signal);
    await exited;
  };
  return { url, grpcAddress: `127.0.0.1:${grpc_port}`, process: child, stop };
};
