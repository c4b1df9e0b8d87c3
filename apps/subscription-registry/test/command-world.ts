import { randomBytes } from 'node:crypto';
import { newId, topicOnBroker, type Encrypted, type SubscriptionState } from '@posthorn/contracts';
import type { SubscriptionCommand, SubscriptionSettings } from '@posthorn/domain';
import { EventStore, migrate, Relay, RelayCheckpoint } from '@posthorn/event-store';
import { Kafka } from '@posthorn/kafka';
import { createLog, kafkaSettings, readConfig } from '@posthorn/service-kit';
import { Client, Pool } from 'pg';
import { Registry } from 'prom-client';
import { Aggregates, changeOf } from '../src/aggregates.js';
import { apiKeyAggregate } from '../src/api-keys/api-key-table.js';
import { run } from '../src/commands/run.js';
import { registryConfig } from '../src/config.js';
import { RememberedAnswers } from '../src/idempotency/remembered-answers.js';
import { migrations, SCHEMA } from '../src/migrations/migrations.js';
import { portalKeyAggregate } from '../src/portal/portal-key-table.js';
import { registryPublisher } from '../src/state-relay.js';
import { RELAY } from '../src/streams.js';
import { subscriptionAggregate } from '../src/subscriptions/subscription-table.js';
import { tenantAggregate } from '../src/tenants/tenant-table.js';

/** The registry without its doors, and the commands beside it: what they do must not depend on a service that runs. */
export type CommandWorld = {
  readonly pool: Pool;
  readonly store: EventStore;
  readonly aggregates: Aggregates;
  readonly checkpoint: RelayCheckpoint;
  readonly env: NodeJS.ProcessEnv;
  /** Runs a command; a line each of what it says. */
  readonly command: (line: string, env?: NodeJS.ProcessEnv) => Promise<{ readonly exit: number; readonly out: readonly string[]; readonly err: readonly string[] }>;
  /** The relay of a registry that writes to topics with this prefix. */
  readonly relayTo: (prefix: string) => Promise<Relay>;
  /** What `registry.state` with this prefix says of each key last. */
  readonly statesIn: (prefix: string) => Promise<ReadonlyMap<string, string>>;
  readonly destroy: () => Promise<void>;
};

const onServer = async (sql: string): Promise<void> => {
  const client = new Client(process.env['POSTHORN_DATABASE_URL']);
  await client.connect();
  await client.query(sql).finally(() => client.end());
};

export const createCommandWorld = async (): Promise<CommandWorld> => {
  const name = `t${randomBytes(6).toString('hex')}`;
  await onServer(`create database ${name}`);
  const url = Object.assign(new URL(process.env['POSTHORN_DATABASE_URL'] ?? ''), { pathname: `/${name}` }).href;
  await migrate({ url, schema: SCHEMA, migrations });
  const env = {
    POSTHORN_KAFKA_BROKERS: process.env['POSTHORN_KAFKA_BROKERS'],
    POSTHORN_DATABASE_URL: url,
    POSTHORN_TOPIC_PREFIX: name,
    POSTHORN_ENCRYPTION_KEYS: `k1:${randomBytes(32).toString('base64')}`,
    LOG_LEVEL: 'silent',
  };
  const config = readConfig(registryConfig, env);
  const log = createLog('test', 'silent');
  const pool = new Pool({ connectionString: url });
  const store = new EventStore(pool, SCHEMA);
  const aggregates = new Aggregates({
    store,
    relay: { waitUntilRelayed: () => Promise.resolve(true) },
    answers: new RememberedAnswers(pool, config.POSTHORN_ENCRYPTION_KEYS, log),
    log,
  });
  const closers: (() => Promise<void>)[] = [() => pool.end()];
  const kafkaOf = (prefix: string): Kafka => {
    const kafka = new Kafka({ ...kafkaSettings(config, 'test'), topicPrefix: prefix }, log);
    closers.push(() => kafka.close());
    return kafka;
  };
  return {
    pool,
    store,
    aggregates,
    checkpoint: new RelayCheckpoint(pool, SCHEMA, RELAY),
    env,
    command: async (line, more = {}) => {
      const out: string[] = [];
      const err: string[] = [];
      const exit = await run(line.split(' ').filter(Boolean), { ...env, ...more }, { out: (text) => out.push(text), err: (text) => err.push(text) });
      return { exit, out, err };
    },
    relayTo: async (prefix) => {
      const kafka = kafkaOf(prefix);
      const publish = registryPublisher({ kafka, producer: await kafka.producer(), pool, metrics: new Registry() });
      const relay = new Relay({ name: RELAY, connectionString: url, schema: SCHEMA, publish, log, pollMs: 20 });
      closers.push(() => relay.close());
      return relay;
    },
    statesIn: async (prefix) => {
      const states = new Map<string, string>();
      const following = await kafkaOf(prefix).follow({
        topic: topicOnBroker(prefix, 'registry.state'),
        onRecord: ({ key, value }) => {
          if (value) states.set(String(key), value.toString());
          else states.delete(String(key));
        },
      });
      await following.caughtUp;
      await following.close();
      return states;
    },
    destroy: async () => {
      for (let close = closers.pop(); close; close = closers.pop()) await close();
      await onServer(`drop database ${name} with (force)`);
    },
  };
};

const requested = { by: { actor: 'tester' } };
const answer = (): undefined => undefined;
const at = (): string => new Date().toISOString();

const settings: SubscriptionSettings = {
  name: 'Billing',
  url: 'https://example.com/in',
  event_types: ['invoice.*', 'order.paid'],
  payload: { format: 'standard' },
  authentication: { type: 'none' },
  headers: { 'x-a': 'b' },
  policy: { timeout_ms: 15_000, max_concurrency: 10, ordering: 'none', disable_after_ms: 432_000_000 },
  metadata: {},
};

const tenantSettings = { schema_policy: 'off', unknown_event_types: 'accept', retention_ms: 2_592_000_000 } as const;

export const createApiKey = ({ aggregates }: CommandWorld, id: string): Promise<unknown> => {
  const key = { id, name: id, hash: id, prefix: 'phk_', scopes: [] };
  return aggregates.change(apiKeyAggregate, id, () => ({ kind: 'create', key, at: at() }) as const, requested, { answer });
};

export const createPortalKey = ({ aggregates }: CommandWorld, id: string, private_key: Encrypted): Promise<unknown> => {
  const key = { id, public_key: 'x', private_key };
  return aggregates.change(portalKeyAggregate, id, () => ({ kind: 'create', key, at: at() }) as const, requested, { answer });
};

export const createTenant = ({ aggregates }: CommandWorld, id: string): Promise<unknown> =>
  aggregates.change(tenantAggregate, id, () => ({ kind: 'create', id, name: id, settings: tenantSettings, at: at() }) as const, requested, { answer });

/** As many subscriptions of the tenant `default` in one append; their ids. */
export const createSubscriptions = async (
  { aggregates }: CommandWorld,
  count: number,
  seal: (secret: string) => Encrypted,
  more: Partial<SubscriptionSettings> = {},
): Promise<readonly string[]> => {
  const ids = Array.from({ length: count }, () => newId('sub'));
  const changes = ids.map((id) =>
    changeOf(
      subscriptionAggregate,
      id,
      (): SubscriptionCommand => ({
        kind: 'create',
        id,
        tenant: 'default',
        settings: { ...settings, ...more },
        enabled: true,
        signing_secret: { scheme: 'v1', ...seal(`whsec_${id}`) },
        at: at(),
      }),
      { fresh: true },
    ),
  );
  await aggregates.changeMany(changes, requested, { answer });
  return ids;
};

type WithoutTime<C> = C extends unknown ? Omit<C, 'at'> : never;

export const changeSubscription = ({ aggregates }: CommandWorld, id: string | undefined, command: WithoutTime<SubscriptionCommand>): Promise<unknown> =>
  aggregates.change(subscriptionAggregate, id ?? '', () => ({ ...command, at: at() }), requested, { answer });

/** The states of all subscriptions, by id. */
export const subscriptionsIn = async ({ pool }: CommandWorld): Promise<ReadonlyMap<string, SubscriptionState>> => {
  const { rows } = await pool.query<{ id: string; state: SubscriptionState }>('select id, state from registry.subscriptions order by id');
  return new Map(rows.map(({ id, state }) => [id, state]));
};
