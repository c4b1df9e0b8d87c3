import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  DEFAULT_PARTITIONS,
  DELAY_SLOTS,
  deliveryId,
  frame,
  partitionOf,
  POSITION_HEADER,
  SCHEMA_HEADER,
  SCHEMA_VERSION,
  unframe,
  type Attempted,
  type Cancelled,
  type Envelope,
  type Outcome,
  type Postponement,
  type RequestedHead,
  type Routed,
  type SubscriptionState,
} from '@posthorn/contracts';
import { Kafka, type Producer } from '@posthorn/kafka';
import { removeTopics } from '@posthorn/kafka/testing';
import { SecretBox } from '@posthorn/service-kit';
import { createDatabase, eventually, freePort, posthornDir, type Database } from '@posthorn/testkit';
import { Service } from '../../../test/support/service.js';
import { Wheel } from '../src/delay/wheel.js';

const AT = '2026-01-02T03:04:05.678Z';
const PATIENCE = { timeoutMs: 60_000, everyMs: 20 } as const;

const ignore = (): void => undefined;
const silent = { debug: ignore, info: ignore, warn: ignore, error: ignore, fatal: ignore };

const given = (variable: string): string => {
  const value = process.env[variable];
  if (!value) throw new Error(`${variable} is not set: run the tests by \`npm test\``);
  return value;
};

/** The dispatcher as a process, over topics of a test's own; the test is what registry and ingestion would be. */
export class World {
  readonly requests: { readonly partition: number; readonly head: RequestedHead; readonly writtenMs: number }[] = [];
  readonly decisions: Routed[] = [];
  /** As often as they stand in the topic. */
  readonly outcomes: Outcome[] = [];
  readonly postponed: Postponement[] = [];
  /** Wall clock, by the event's id. */
  readonly publishedMs = new Map<string, number>();
  #position = 0;

  private constructor(
    private readonly name: string,
    private readonly env: Readonly<Record<string, string>>,
    private readonly services: Service[],
    private readonly database: Database,
    private readonly kafka: Kafka,
    private readonly producer: Producer,
    private readonly secretBox: SecretBox,
  ) {}

  /** Ready once it has read the states. @param roles of the process, as its setting names them */
  static async start(name: string, roles: string, states: (world: World) => readonly SubscriptionState[]): Promise<World> {
    const topicPrefix = `d${randomBytes(6).toString('hex')}`;
    const key = randomBytes(32);
    const database = await createDatabase(given('POSTHORN_DATABASE_URL'), topicPrefix);
    const kafka = new Kafka({ brokers: given('POSTHORN_KAFKA_BROKERS').split(','), ssl: false, clientId: 'dispatcher-test', topicPrefix }, silent);
    await kafka.ensureTopics(['registry.state', 'events.accepted', 'deliveries.routed', 'deliveries.requested', 'deliveries.attempted', 'deliveries.cancelled']);
    const env = {
      POSTHORN_DATABASE_URL: database.url,
      POSTHORN_TOPIC_PREFIX: topicPrefix,
      POSTHORN_ENCRYPTION_KEYS: `k1:${key.toString('base64')}`,
      POSTHORN_EGRESS_ALLOW_HTTP: 'true',
      POSTHORN_EGRESS_ALLOW_CIDRS: '127.0.0.0/8',
    };
    const world = new World(name, env, [], database, kafka, await kafka.producer(), new SecretBox([['k1', key]]));
    await kafka.follow({
      topic: kafka.topic('deliveries.requested'),
      onRecord: ({ value, partition, timestampMs }) =>
        world.requests.push({ partition, head: unframe<RequestedHead>(Buffer.from(value ?? '')).head, writtenMs: timestampMs }),
    });
    await kafka.follow({ topic: kafka.topic('deliveries.routed'), onRecord: ({ value }) => world.decisions.push(JSON.parse(String(value)) as Routed) });
    await kafka.follow({
      topic: kafka.topic('deliveries.attempted'),
      onRecord: ({ value }) => {
        const { outcomes, postponed = [] } = JSON.parse(String(value)) as Attempted;
        world.outcomes.push(...outcomes);
        world.postponed.push(...postponed);
      },
    });
    await Promise.all(states(world).map((state) => world.publishState(state)));
    await world.another(roles);
    return world;
  }

  /** One more process over the same topics, once it is ready. */
  async another(roles: string): Promise<Service> {
    const name = `dispatcher${this.services.length === 0 ? '' : `-${this.services.length + 1}`}`;
    const service = new Service({
      name: 'dispatcher',
      port: await freePort('127.0.0.1'),
      env: { ...this.env, POSTHORN_DISPATCHER_ROLES: roles },
      logFile: join(posthornDir, 'test', 'logs', this.name, `${name}.log`),
    });
    this.services.push(service);
    await service.start();
    return service;
  }

  /** What the first process logged about a subscription's breaker: the states that it came to, in this order. */
  breakerOf(subscription: string): readonly unknown[] {
    const lines = readFileSync(join(posthornDir, 'test', 'logs', this.name, 'dispatcher.log'), 'utf8').trimEnd().split('\n');
    const told = lines.map((line) => JSON.parse(line) as { msg: string; subscription?: string; to?: string });
    return told.flatMap(({ msg, to, ...of }) => (msg === 'a circuit breaker has changed' && of.subscription === subscription ? [to] : []));
  }

  /** A state as the registry would publish it, its secret encrypted. */
  subscription(id: string, more: Partial<SubscriptionState> = {}): SubscriptionState {
    return {
      kind: 'subscription',
      id,
      tenant: 'default',
      name: id,
      type: 'rest',
      url: 'https://example.com',
      event_types: ['*'],
      enabled: true,
      enabled_since: AT,
      payload: { format: 'standard' },
      authentication: { type: 'none' },
      headers: {},
      policy: { timeout_ms: 15_000, max_concurrency: 10, ordering: 'none', disable_after_ms: 0 },
      metadata: {},
      signing_secrets: [{ scheme: 'v1', ...this.secretBox.encrypt(`whsec_${Buffer.alloc(24, 7).toString('base64')}`) }],
      created_at: AT,
      updated_at: AT,
      ...more,
    };
  }

  publishState(state: SubscriptionState): Promise<void> {
    this.#position += 1;
    return this.producer.send({
      topic: this.kafka.topic('registry.state'),
      key: state.id,
      value: JSON.stringify({ position: this.#position, version: 1, state }),
      headers: { [SCHEMA_HEADER]: SCHEMA_VERSION, kind: state.kind, [POSITION_HEADER]: String(this.#position) },
    });
  }

  publishEvent(id: string, { data = Buffer.from('{}'), ...more }: Partial<Envelope> & { readonly data?: Buffer } = {}): Promise<void> {
    this.publishedMs.set(id, Date.now());
    const now = new Date().toISOString();
    const event: Envelope = { specversion: '1.0', id, tenant: 'default', type: 'invoice.paid', source: '/test', time: now, acceptedtime: now, ...more };
    return this.producer.send({
      topic: this.kafka.topic('events.accepted'),
      key: event.partitionkey ?? event.tenant + event.id,
      value: frame(event, data, event.datacontenttype),
      headers: { [SCHEMA_HEADER]: SCHEMA_VERSION },
    });
  }

  /** A retry as a sender would put it into the wheel. */
  publishRetry(id: string, subscription: string, dueMs: number): Promise<void> {
    const now = new Date().toISOString();
    const head: RequestedHead = {
      event: { specversion: '1.0', id, tenant: 'default', type: 'invoice.paid', source: '/test', time: now, acceptedtime: now },
      subscriptions: [subscription],
      position: 1,
      round: 0,
      number: 2,
      trigger: 'retry',
      due_at: new Date(dueMs).toISOString(),
    };
    const wheel = new Wheel((name) => this.kafka.topic(name), DELAY_SLOTS);
    return this.producer.send({ ...wheel.placeFor(subscription, Date.now(), dueMs), value: frame(head, Buffer.from('{}')), headers: { [SCHEMA_HEADER]: SCHEMA_VERSION } });
  }

  /** A round that somebody has asked for, as the audit writes it. */
  publishRound(id: string, subscription: string, round: number, data = Buffer.from('{}'), partitionkey?: string): Promise<void> {
    const now = new Date().toISOString();
    const head: RequestedHead = {
      event: { specversion: '1.0', id, tenant: 'default', type: 'invoice.paid', source: '/test', time: now, acceptedtime: now, ...(partitionkey !== undefined && { partitionkey }) },
      subscriptions: [subscription],
      position: 1,
      round,
      number: 1,
      trigger: 'redeliver',
    };
    const partition = partitionOf(subscription, DEFAULT_PARTITIONS);
    const headers = { [SCHEMA_HEADER]: SCHEMA_VERSION };
    return this.producer.send({ topic: this.kafka.topic('deliveries.requested'), partition, key: String(partition), value: frame(head, data), headers });
  }

  /** A user cancels a round of a delivery. */
  cancel(event: string, subscription: string, round = 0): Promise<void> {
    const at = new Date().toISOString();
    const ids = { delivery_id: deliveryId('default', event, subscription), tenant: 'default', event_id: event, event_type: 'invoice.paid', subscription_id: subscription };
    const cancelled: Cancelled = { cancellations: [{ ...ids, round, accepted_at: at, at, actor: 'key_1' }] };
    return this.producer.send({
      topic: this.kafka.topic('deliveries.cancelled'),
      partition: partitionOf(subscription, DEFAULT_PARTITIONS),
      key: subscription,
      value: JSON.stringify(cancelled),
      headers: { [SCHEMA_HEADER]: SCHEMA_VERSION },
    });
  }

  /** Whatever happens meanwhile; resolves when Kafka has them all. */
  publishAtRate(ids: readonly string[], perSecond: number): Promise<void> {
    return new Promise((resolve, reject) => {
      const published: Promise<void>[] = [];
      const startMs = performance.now();
      const timer = setInterval(() => {
        const due = Math.min(ids.length, ((performance.now() - startMs) / 1_000) * perSecond);
        for (const id of ids.slice(published.length, Math.ceil(due))) published.push(this.publishEvent(id));
        if (published.length < ids.length) return;
        clearInterval(timer);
        Promise.all(published).then(() => resolve(), reject);
      }, 10);
    });
  }

  /** All parts of the decision about an event, once they have come. */
  decisionOf(eventId: string): Promise<readonly Routed[]> {
    return this.until(() => {
      const parts = this.decisions.filter(({ event_id }) => event_id === eventId);
      return parts.length > 0 && parts.length === (parts[0]?.part?.of ?? 1) ? parts : undefined;
    }, `the decision about ${eventId}`);
  }

  /** Of the backlog, and whatever else the dispatcher keeps. */
  get databaseUrl(): string {
    return this.database.url;
  }

  /** Ends the first process as a power cut would, and starts it again. */
  async kill(): Promise<void> {
    await this.services[0]?.end('SIGKILL');
    await this.services[0]?.start();
  }

  /** Ends the first process as a new version would, and starts it again after that. */
  async whileNobodySends(run: () => Promise<void>): Promise<void> {
    await this.services[0]?.end('SIGTERM');
    await run();
    await this.services[0]?.start();
  }

  /** Why the first process is not ready. */
  async reasons(): Promise<readonly { readonly name: string; readonly reason: string }[]> {
    const { reasons = [] } = (await (await fetch(`${this.services[0]?.url}/readyz`)).json()) as { reasons?: { name: string; reason: string }[] };
    return reasons;
  }

  /** What the probe answers, once it answers something. */
  until<T>(probe: () => T | undefined | Promise<T | undefined>, describe: string | (() => string)): Promise<NonNullable<T>> {
    return eventually(probe, { ...PATIENCE, describe });
  }

  async metric(line: string): Promise<number> {
    const text = await (await fetch(`${this.services[0]?.url}/metrics`)).text();
    return Number(text.split('\n').find((each) => each.startsWith(line))?.split(' ').at(-1) ?? 0);
  }

  async close(): Promise<void> {
    await Promise.all(this.services.map((service) => service.end('SIGTERM')));
    await this.kafka.close();
    await removeTopics(given('POSTHORN_KAFKA_BROKERS'), this.env['POSTHORN_TOPIC_PREFIX'] ?? '');
    await this.database.drop();
  }
}
