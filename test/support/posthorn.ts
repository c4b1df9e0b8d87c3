import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import type { AttemptView, CreateSubscriptionBody, DeliveryView, Operation, Page, Rejection, Routed, SubscriptionView, TopicName } from '@posthorn/contracts';
import { Kafka, type Producer } from '@posthorn/kafka';
import { removeTopics } from '@posthorn/kafka/testing';
import { createDatabase, eventually, freePort, posthornDir, repositoryRoot, type Database } from '@posthorn/testkit';
import { Api } from './api.js';
import { Service, serviceNames, type ServiceName } from './service.js';

export type Subscription = SubscriptionView & { readonly secret: string };

export type NewSubscription = Partial<CreateSubscriptionBody> & Pick<CreateSubscriptionBody, 'url' | 'event_types'>;
export type InboundRecord = {
  readonly value: string | Buffer;
  readonly headers?: Readonly<Record<string, string>>;
  readonly partition?: number;
  readonly key?: string;
};

const ignore = (): void => {};
const silent = { debug: ignore, info: ignore, warn: ignore, error: ignore, fatal: ignore };

const DAY_MS = 86_400_000;

/** Within which whatever is on its way has come: far longer than it takes, for a machine that does much else. */
const PATIENCE = { timeoutMs: 30_000, everyMs: 50 } as const;

const given = (variable: string): string => {
  const value = process.env[variable];
  if (!value) throw new Error(`${variable} is not set: run the tests by \`npm test\``);
  return value;
};

/** What a topic holds and will hold: the array grows. The schema of its records is the topic's promise. */
const collect = async <R>(kafka: Kafka, topic: TopicName): Promise<readonly R[]> => {
  const records: R[] = [];
  await kafka.follow({ topic: kafka.topic(topic), onRecord: ({ value }) => records.push(JSON.parse(String(value)) as R) });
  return records;
};

/** The whole of Posthorn: its five services as processes, over topics and a database of their own in the given Kafka and PostgreSQL. */
export class Posthorn {
  readonly #replicas: Service[] = [];
  #processes = 1;

  private constructor(
    private readonly name: string,
    private readonly env: Readonly<Record<string, string>>,
    readonly services: Readonly<Record<ServiceName, Service>>,
    readonly api: Api,
    private readonly database: Database,
    private readonly kafka: Kafka,
    private readonly producer: Producer,
    private readonly rejections: readonly Rejection[],
    private readonly routings: readonly Routed[],
    private readonly operations: readonly Operation[],
  ) {}

  /**
   * @param name of the folder of the logs, `.posthorn/test/logs/<name>`
   * @param settings of all services, beside those that they need
   */
  static async start(name: string, settings: Readonly<Record<string, string>> = {}): Promise<Posthorn> {
    const topicPrefix = `e2e${randomBytes(6).toString('hex')}`;
    const adminApiKey = `phk_${randomBytes(24).toString('base64url')}`;
    const database = await createDatabase(given('POSTHORN_DATABASE_URL'), topicPrefix);
    const ports = new Map<ServiceName, number>();
    for (const service of serviceNames) ports.set(service, await freePort('127.0.0.1'));
    const env = {
      POSTHORN_DATABASE_URL: database.url,
      POSTHORN_TOPIC_PREFIX: topicPrefix,
      POSTHORN_ADMIN_API_KEY: adminApiKey,
      POSTHORN_ENCRYPTION_KEYS: `k1:${randomBytes(32).toString('base64')}`,
      POSTHORN_EGRESS_ALLOW_HTTP: 'true',
      POSTHORN_EGRESS_ALLOW_CIDRS: '127.0.0.0/8',
      ...settings,
      ...Object.fromEntries([...ports].map(([service, port]) => [`POSTHORN_${service.replaceAll('-', '_').toUpperCase()}_URL`, `http://127.0.0.1:${port}`])),
    };
    const services = Object.fromEntries(
      [...ports].map(([service, port]) => [
        service,
        new Service({ name: service, port, env, logFile: join(posthornDir, 'test', 'logs', name, `${service}.log`) }),
      ]),
    ) as Record<ServiceName, Service>;
    const kafka = new Kafka({ brokers: given('POSTHORN_KAFKA_BROKERS').split(','), ssl: false, clientId: 'e2e', topicPrefix }, silent);
    try {
      await Promise.all(Object.values(services).map((service) => service.start()));
      const [rejections, routings, operations] = await Promise.all([
        collect<Rejection>(kafka, 'events.rejected'),
        collect<Routed>(kafka, 'deliveries.routed'),
        collect<Operation>(kafka, 'operations'),
      ]);
      const api = new Api(services.gateway.url, adminApiKey);
      return new Posthorn(name, env, services, api, database, kafka, await kafka.producer(), rejections, routings, operations);
    } catch (error) {
      await Promise.all([...Object.values(services).map((service) => service.end('SIGKILL')), kafka.close()]);
      await database.drop();
      throw error;
    }
  }

  /** Of the registry and the audit, for tests that hold a lock or look at what is not told by any API. */
  get databaseUrl(): string {
    return this.database.url;
  }

  /** The API as the owner of another key meets it. */
  apiOf(key: string): Api {
    return new Api(this.services.gateway.url, key);
  }

  /** What a topic of JSON records holds now, oldest first; null for a tombstone. */
  async recordsOf<R>(topic: TopicName): Promise<readonly { readonly key: string; readonly value: R | null }[]> {
    const records: { readonly key: string; readonly value: R | null }[] = [];
    const following = await this.kafka.follow({
      topic: this.kafka.topic(topic),
      onRecord: ({ key, value }) => records.push({ key: String(key), value: value === null ? null : (JSON.parse(String(value)) as R) }),
    });
    await following.caughtUp;
    await following.close();
    return records;
  }

  /** All that a topic holds now, byte for byte as characters: keys, values and headers, for what must not be in it. */
  async everythingIn(topic: TopicName): Promise<string> {
    const parts: Buffer[] = [];
    const following = await this.kafka.follow({
      topic: this.kafka.topic(topic),
      onRecord: ({ key, value, headers }) => parts.push(Buffer.concat([key, value, ...Object.values(headers)].flatMap((part) => (part ? [part, Buffer.from('\n')] : [])))),
    });
    await following.caughtUp;
    await following.close();
    return Buffer.concat(parts).toString('latin1');
  }

  /** The first operational event, past or to come, that is meant. */
  operation(isMeant: (operation: Operation) => boolean): Promise<Operation> {
    return eventually(() => this.operations.find(isMeant), { ...PATIENCE, describe: () => `an operation; there are ${JSON.stringify(this.operations)}` });
  }

  /** The inbound topic, for producers that know nothing of us but its name. */
  get inbound(): string {
    return this.kafka.topic('events.inbound');
  }

  /** Resolves when Kafka has the record. It meets the subscriptions as `api` left them. */
  produce({ value, headers = {}, partition, key }: InboundRecord): Promise<void> {
    return this.producer.send({
      topic: this.inbound,
      value,
      headers: { ...this.api.position, ...headers },
      ...(partition !== undefined && { partition }),
      ...(key !== undefined && { key }),
    });
  }

  subscribe(subscription: NewSubscription, tenant = 'default'): Promise<Subscription> {
    return this.api.ask<Subscription>('POST', `/v1/tenants/${tenant}/subscriptions`, { name: 'test', ...subscription });
  }

  /** The router's decision about an event, which it states also when nothing matched. */
  routingOf(eventId: string): Promise<Routed> {
    return eventually(() => this.routings.find(({ event_id }) => event_id === eventId), { ...PATIENCE, describe: `the routing of ${eventId}` });
  }

  /** The deliveries of an event as the audit has them, once it knows the event and they are as meant. */
  deliveriesOf(eventId: string, areMeant: (deliveries: readonly DeliveryView[]) => boolean): Promise<readonly DeliveryView[]> {
    let last: readonly DeliveryView[] = [];
    return eventually(
      async () => {
        last = await this.api.list<DeliveryView>(`/v1/tenants/default/events/${encodeURIComponent(eventId)}/deliveries`);
        return areMeant(last) ? last : undefined;
      },
      { ...PATIENCE, describe: () => `the deliveries of ${eventId} to be as they should; they are ${JSON.stringify(last)}` },
    );
  }

  /** The only delivery of an event, once it has come to this. */
  async deliveryOf(eventId: string, status: DeliveryView['status']): Promise<DeliveryView> {
    const [delivery] = await this.deliveriesOf(eventId, (deliveries) => deliveries.length === 1 && deliveries[0]?.status === status);
    if (delivery === undefined) throw new Error('unreachable: there is one');
    return delivery;
  }

  async attemptsOf({ id }: Pick<DeliveryView, 'id'>): Promise<readonly AttemptView[]> {
    return (await this.api.get<Page<AttemptView>>(`/v1/tenants/default/deliveries/${id}/attempts`)).data;
  }

  /** The first rejection, past or to come, that is meant. */
  rejection(isMeant: (rejection: Rejection) => boolean): Promise<Rejection> {
    return eventually(() => this.rejections.find(isMeant), { ...PATIENCE, describe: () => `a rejection; there are ${JSON.stringify(this.rejections)}` });
  }

  /** Within the time that a slow machine may take. */
  async until(isMet: () => boolean | Promise<boolean>, describe: () => string, { timeoutMs = 90_000, everyMs = 20 } = {}): Promise<void> {
    await eventually(isMet, { timeoutMs, everyMs, describe });
  }

  /** One more process of a service, once it is ready; with settings of its own. */
  async replica(service: ServiceName, settings: Readonly<Record<string, string>>): Promise<Service> {
    this.#processes += 1;
    const logFile = join(posthornDir, 'test', 'logs', this.name, `${service}-${this.#processes}.log`);
    const replica = new Service({ name: service, port: await freePort('127.0.0.1'), env: { ...this.env, ...settings }, logFile });
    this.#replicas.push(replica);
    await replica.start();
    return replica;
  }

  /** What `posthorn-audit rebuild --verify` says of yesterday and today, with the status that it ends with. */
  async verifyAudit(): Promise<{ readonly exit: number | null; readonly said: string }> {
    const yesterday = new Date(Date.now() - DAY_MS).toISOString().slice(0, 'yyyy-mm-dd'.length);
    const program = join(repositoryRoot, 'apps', 'delivery-audit', 'bin', 'posthorn-audit.mjs');
    const child = spawn(process.execPath, [program, 'rebuild', '--verify', '--from', yesterday], {
      env: { ...process.env, ...this.env, LOG_LEVEL: 'error' },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const ended = once(child, 'close').then(([status]) => status as number | null);
    const [out, err] = await Promise.all([text(child.stdout), text(child.stderr)]);
    return { exit: await ended, said: `${out}${err}` };
  }

  async close(): Promise<void> {
    await Promise.all([...[...Object.values(this.services), ...this.#replicas].map((service) => service.end('SIGTERM')), this.kafka.close()]);
    await removeTopics(given('POSTHORN_KAFKA_BROKERS'), this.env['POSTHORN_TOPIC_PREFIX'] ?? '');
    await this.database.drop();
  }
}
