import { randomBytes } from 'node:crypto';
import { deliveryId, operationId, recordSchemas, SCHEMA_HEADER, SCHEMA_VERSION, type Operation, type Outcome, type SubscriptionState } from '@posthorn/contracts';
import type { SubscriptionCommand } from '@posthorn/domain';
import { EventStore, migrateWhenPossible, Relay } from '@posthorn/event-store';
import { Kafka, type Consumption, type Producer } from '@posthorn/kafka';
import { removeTopics } from '@posthorn/kafka/testing';
import { createLog, Health, kafkaSettings, readConfig } from '@posthorn/service-kit';
import { createDatabase, eventually, type Database } from '@posthorn/testkit';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Pool } from 'pg';
import { Registry } from 'prom-client';
import { Aggregates } from '../src/aggregates.js';
import { watchOutcomes } from '../src/automatic/watch-outcomes.js';
import { registryConfig } from '../src/config.js';
import { RememberedAnswers } from '../src/idempotency/remembered-answers.js';
import { migrations, SCHEMA } from '../src/migrations/migrations.js';
import { PUBLISHED, registryPublisher } from '../src/state-relay.js';
import { RELAY } from '../src/streams.js';
import { subscriptionAggregate } from '../src/subscriptions/subscription-table.js';

const HOUR = 3_600_000;
const DAY = 24 * HOUR;
const NOW = Date.now();
const ago = (ms: number): string => new Date(NOW - ms).toISOString();
const OWN = 'subscription-registry';

const name = `t${randomBytes(6).toString('hex')}`;
const TOPIC = `${name}.deliveries.attempted.v1`;
const log = createLog('subscription-registry', 'silent');
const closers: (() => Promise<void>)[] = [];
let database: Database;
let pool: Pool;
let aggregates: Aggregates;
let kafka: Kafka;
let producer: Producer;
let environment: NodeJS.ProcessEnv;

const config = () => readConfig(registryConfig, environment);

/** What is in `operations` now, with its keys. */
const operations = async (): Promise<readonly (readonly [key: string, operation: Operation])[]> => {
  const told: [string, Operation][] = [];
  const following = await kafka.follow({
    topic: kafka.topic('operations'),
    onRecord: ({ key, value }) => void told.push([String(key), recordSchemas.operation.parse(JSON.parse(String(value)))]),
  });
  await following.caughtUp;
  await following.close();
  return told;
};

/** One replica's reading of the outcomes. */
const watch = async (topicPrefix = name): Promise<{ readonly consumption: Consumption; readonly stop: () => Promise<void> }> => {
  const kafka = new Kafka(kafkaSettings(config(), 'watcher'), log);
  const ends: (() => Promise<void>)[] = [() => kafka.close()];
  const kit = { kafka, log, health: new Health(), onShutdown: (_what: string, close: () => Promise<void>) => void ends.push(close) };
  const consumption = await watchOutcomes({ kit, topicPrefix, pool, aggregates, actor: OWN });
  const stop = async (): Promise<void> => {
    for (let end = ends.pop(); end; end = ends.pop()) await end();
  };
  return { consumption, stop };
};

beforeAll(async () => {
  const server = process.env['POSTHORN_DATABASE_URL'] ?? '';
  database = await createDatabase(server, name);
  environment = {
    POSTHORN_KAFKA_BROKERS: process.env['POSTHORN_KAFKA_BROKERS'],
    POSTHORN_DATABASE_URL: database.url,
    POSTHORN_TOPIC_PREFIX: name,
    POSTHORN_ENCRYPTION_KEYS: `k1:${randomBytes(32).toString('base64')}`,
  };
  await migrateWhenPossible({ url: database.url, schema: SCHEMA, migrations }, { log, health: new Health() });
  pool = new Pool({ connectionString: database.url });
  pool.on('error', () => undefined);
  kafka = new Kafka(kafkaSettings(config(), 'test'), log);
  closers.push(() => kafka.close());
  await kafka.ensureTopics(['deliveries.attempted', ...PUBLISHED]);
  producer = await kafka.producer();
  const relay = new Relay({
    name: RELAY,
    connectionString: database.url,
    schema: SCHEMA,
    publish: registryPublisher({ kafka, producer, pool, metrics: new Registry() }),
    log,
  });
  closers.push(() => relay.close());
  aggregates = new Aggregates({
    store: new EventStore(pool, SCHEMA),
    relay,
    answers: new RememberedAnswers(pool, config().POSTHORN_ENCRYPTION_KEYS, log),
    log,
  });
  closers.push((await watch()).stop);
}, 60_000);

afterAll(async () => {
  for (let close = closers.pop(); close; close = closers.pop()) await close();
  await removeTopics(process.env['POSTHORN_KAFKA_BROKERS'] ?? '', name);
  await pool.end();
  await database.drop();
});

const command = async (id: string, wanted: SubscriptionCommand): Promise<void> => {
  await aggregates.change(subscriptionAggregate, id, () => wanted, { by: { actor: 'tester' } }, { answer: () => undefined });
};

let made = 0;
/** A subscription that has been enabled since `age`. */
const subscription = async (age = 30 * DAY, disableAfterMs = 5 * DAY): Promise<string> => {
  const id = `sub_${name}${(made += 1)}`;
  const signing_secret = { scheme: 'v1', ...config().POSTHORN_ENCRYPTION_KEYS.encrypt('whsec_') } as const;
  const settings = {
    name: 'Ledger',
    url: 'https://ledger.example',
    event_types: ['*'],
    payload: { format: 'standard' },
    authentication: { type: 'none' },
    headers: {},
    policy: { timeout_ms: 15_000, max_concurrency: 10, ordering: 'none', disable_after_ms: disableAfterMs },
    metadata: {},
  } as const;
  await command(id, { kind: 'create', id, tenant: 'default', settings: { ...settings, event_types: ['*'] }, enabled: true, signing_secret, at: ago(age) });
  return id;
};

const stateOf = async (id: string): Promise<SubscriptionState> => {
  const { rows } = await pool.query<{ state: SubscriptionState }>('select state from registry.subscriptions where id = $1', [id]);
  return rows[0]?.state ?? Promise.reject(new Error(`no ${id}`));
};
const failuresOf = async (id: string): Promise<unknown> => {
  const { rows } = await pool.query('select failing_since, last_failure_at from registry.subscription_failures where subscription = $1', [id]);
  return rows[0];
};

type Told = readonly [age: number, status: Outcome['status'], response?: number];

const outcome = (id: string, [age, status, response = status === 'delivered' ? 200 : 500]: Told, n: number): Outcome => ({
  delivery_id: deliveryId('default', `evt_${n}`, id),
  tenant: 'default',
  event_id: `evt_${n}`,
  event_type: 'invoice.paid',
  accepted_at: ago(age),
  subscription_id: id,
  round: 0,
  number: 1,
  trigger: 'first',
  status,
  at: ago(age),
  attempt: {
    started_at: ago(age),
    duration_ms: 5,
    request: { url: 'https://ledger.example', headers: {} },
    response: { status: response, headers: {}, body: '', truncated: false },
  },
});

/** As the sender packs them: one record each time. */
const tell = async (id: string, ...told: readonly Told[]): Promise<void> => {
  const value = JSON.stringify({ outcomes: told.map((one, n) => outcome(id, one, n)) });
  await producer.send({ topic: TOPIC, key: id, value, headers: { [SCHEMA_HEADER]: SCHEMA_VERSION } });
};

const disabledAs = (id: string): Promise<string> => eventually(async () => (await stateOf(id)).disabled_reason);

describe('410', () => {
  it('disables, on behalf of the service, for the delivery', async () => {
    const id = await subscription();
    await tell(id, [DAY, 'delivered'], [60_000, 'failed', 410], [59_000, 'delivered']);
    expect(await disabledAs(id)).toBe('gone');
    const history = await new EventStore(pool, SCHEMA).read(`subscription/${id}`);
    expect(history.at(-1)).toMatchObject({
      type: 'SubscriptionDisabled',
      data: { reason: 'gone' },
      actor: OWN,
      cause: `delivery ${deliveryId('default', 'evt_1', id)}`,
    });
  });

  it('from before it was enabled again does not', async () => {
    const id = await subscription(HOUR);
    await tell(id, [2 * HOUR, 'failed', 410], [60_000, 'retrying']);
    await eventually(() => failuresOf(id));
    expect(await stateOf(id)).toMatchObject({ enabled: true });
  });
});

describe('nothing but failures', () => {
  it('for as long as the policy says disables', async () => {
    const id = await subscription();
    await tell(id, [6 * DAY, 'retrying']);
    await eventually(() => failuresOf(id));
    await tell(id, [3 * DAY, 'retrying']);
    await tell(id, [2 * DAY, 'failed']);
    await eventually(async () => JSON.stringify(await failuresOf(id)).includes(ago(2 * DAY)));
    expect(await stateOf(id)).toMatchObject({ enabled: true });
    await tell(id, [DAY, 'failed']);
    expect(await disabledAs(id)).toBe('failing');
  });

  it('begins anew after a success', async () => {
    const id = await subscription();
    await tell(id, [6 * DAY, 'retrying']);
    await eventually(() => failuresOf(id));
    await tell(id, [3 * DAY, 'delivered']);
    await eventually(async () => (await failuresOf(id)) === undefined);
    await tell(id, [2 * DAY, 'retrying'], [60_000, 'retrying']);
    expect(await eventually(() => failuresOf(id))).toEqual({ failing_since: new Date(ago(2 * DAY)), last_failure_at: new Date(ago(60_000)) });
    expect(await stateOf(id)).toMatchObject({ enabled: true });
  });

  it('counts from when it was last enabled', async () => {
    const id = await subscription(4 * DAY);
    await tell(id, [9 * DAY, 'retrying'], [8 * DAY, 'retrying'], [60_000, 'retrying']);
    expect(await eventually(() => failuresOf(id))).toMatchObject({ failing_since: new Date(ago(60_000)) });
    expect(await stateOf(id)).toMatchObject({ enabled: true });
  });

  it('never disables where the policy is never', async () => {
    const id = await subscription(30 * DAY, 0);
    await tell(id, [29 * DAY, 'retrying'], [60_000, 'retrying']);
    await eventually(() => failuresOf(id));
    expect(await stateOf(id)).toMatchObject({ enabled: true });
  });
});

describe('the same outcomes again', () => {
  it('disable nothing that was enabled since, and leave the same behind', async () => {
    const gone = await subscription();
    const failed = await subscription();
    const fails = await subscription();
    await tell(gone, [60_000, 'failed', 410]);
    await tell(failed, [6 * DAY, 'retrying'], [60_000, 'retrying']);
    await tell(fails, [9 * DAY, 'retrying'], [3 * DAY, 'delivered'], [2 * DAY, 'retrying'], [DAY, 'retrying']);
    expect([await disabledAs(gone), await disabledAs(failed)]).toEqual(['gone', 'failing']);
    const before = await eventually(() => failuresOf(fails));
    for (const id of [gone, failed]) await command(id, { kind: 'enable', at: new Date().toISOString() });

    // Another group reads the topic from its beginning.
    const { consumption, stop } = await watch(`${name}.again`);
    closers.push(stop);
    await eventually(() => consumption.assigned && consumption.lag.get(TOPIC) === 0);
    expect([(await stateOf(gone)).enabled, (await stateOf(failed)).enabled, await failuresOf(fails)]).toEqual([true, true, before]);
  });
});

it('two replicas share the work, and disable each subscription once', async () => {
  const { stop } = await watch();
  closers.push(stop);
  const ids = await Promise.all(Array.from({ length: 12 }, () => subscription()));
  await Promise.all(ids.map((id) => tell(id, [6 * DAY, 'retrying'])));
  await Promise.all(ids.map((id) => tell(id, [60_000, 'retrying'])));
  expect(new Set(await Promise.all(ids.map(disabledAs)))).toEqual(new Set(['failing']));
  const { rows } = await pool.query(`select stream from registry.events where type = 'SubscriptionDisabled' and stream = any($1)`, [ids.map((id) => `subscription/${id}`)]);
  expect(rows).toHaveLength(ids.length);
}, 60_000);

it('the people who run a tenant are told what was disabled for them, and not what they disabled themselves', async () => {
  const gone = await subscription();
  const switchedOff = await subscription();
  await command(switchedOff, { kind: 'disable', reason: 'by_user', at: new Date().toISOString() });
  await tell(gone, [60_000, 'failed', 410]);
  await disabledAs(gone);
  const told = await eventually(async () => {
    const all = await operations();
    return all.some(([, { subject }]) => subject === gone) ? all : undefined;
  });
  expect(told.filter(([, { subject }]) => subject === gone || subject === switchedOff)).toEqual([
    [
      'default',
      {
        id: operationId(`subscription/${gone}`, 2),
        type: 'subscription.disabled',
        tenant: 'default',
        subject: gone,
        time: (await stateOf(gone)).disabled_at,
        data: { reason: 'gone', cause: `delivery ${deliveryId('default', 'evt_0', gone)}` },
      },
    ],
  ]);
});
