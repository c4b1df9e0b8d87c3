import { frame, type AskedRound, type Envelope, type RequestedHead, type TopicName } from '@posthorn/contracts';
import { EventStore } from '@posthorn/event-store';
import type { OutgoingRecord } from '@posthorn/kafka';
import { Client, Pool } from 'pg';
import { RememberedAnswers, type Requested } from '../src/asking/answers.js';
import { Redelivery } from '../src/asking/redelivery.js';
import { queryable } from '../src/asking/transactions.js';
import { foldRows } from '../src/loading/fold.js';
import { Loader } from '../src/loading/loader.js';
import { rowsOfAccepted, rowsOfAttempted, rowsOfCancelled, rowsOfRounds, rowsOfRouted } from '../src/loading/records.js';
import type { Rows } from '../src/loading/rows.js';
import { Looking } from '../src/replaying/looking.js';
import { Pages, type Made } from '../src/replaying/pages.js';
import { Replays } from '../src/replaying/replays.js';
import { Requester } from '../src/requesting/requester.js';
import { createDatabase, type TestDatabase } from './database.js';
import type { TestRecord } from './records.js';

export const PARTITIONS = 12;

const ignore = (): void => undefined;

const FOLDS: Readonly<Partial<Record<TopicName, (value: Buffer) => Rows>>> = {
  'events.accepted': rowsOfAccepted,
  'deliveries.routed': rowsOfRouted,
  'deliveries.attempted': rowsOfAttempted,
  'deliveries.cancelled': rowsOfCancelled,
  'deliveries.rounds': rowsOfRounds,
};

/** In nobody's hurry: without a key, by this actor. */
export const byAnn: Requested = { actor: 'key_ann', idempotency: undefined };

export const withKey = (key: string, fingerprint = 'x'): Requested => ({ actor: 'key_ann', idempotency: { key, fingerprint: Buffer.from(fingerprint) } });

/** Everything that sends again over a database of its own, with a Kafka that only remembers what it was given. */
export class Again {
  /** What Kafka has, in its order. */
  readonly sent: OutgoingRecord[] = [];
  /** Asked before each record; what it throws, Kafka does. */
  beforeSending: (record: OutgoingRecord) => void | Promise<void> = ignore;
  isLoaded = true;
  nowMs = 0;
  readonly answers: RememberedAnswers;
  readonly redelivery: Redelivery;
  readonly replays: Replays;
  readonly looking = new Looking();
  /** The leader's. */
  leader: Client;
  pages: Pages;

  private constructor(
    readonly database: TestDatabase,
    readonly pool: Pool,
    readonly loader: Loader,
    leader: Client,
  ) {
    this.leader = leader;
    this.answers = new RememberedAnswers(pool);
    const registry = { readFresh: () => Promise.resolve(), position: 0 };
    const send = (record: OutgoingRecord) => this.#send(record);
    this.redelivery = new Redelivery({ pool, answers: this.answers, registry, send, topic: (name) => name, partitions: PARTITIONS });
    this.replays = new Replays({ pool, store: new EventStore(pool, 'replays'), answers: this.answers, registry, looking: this.looking });
    this.pages = this.#newPages();
  }

  static async create(): Promise<Again> {
    const database = await createDatabase();
    const pool = new Pool({ connectionString: database.url, max: 8 });
    pool.on('error', ignore);
    return new Again(database, pool, new Loader(database.url), await connected(database.url));
  }

  /** As it was made. Rows are few: deleting them takes less than truncating every partition. */
  async empty(): Promise<void> {
    this.sent.length = 0;
    this.beforeSending = ignore;
    this.isLoaded = true;
    const tables = ['events', 'decisions', 'deliveries', 'attempts', 'rounds', 'cancellations', 'configuration', 'statistics_deltas'].map((table) => `audit.${table}`);
    const asked = ['replays', 'outbox', 'answers', 'events'].map((table) => `replays.${table}`);
    await this.database.query([...tables, ...asked].map((table) => `delete from ${table}`).join('; '));
  }

  /** A new process leads. */
  async restart(): Promise<void> {
    await this.leader.end().catch(ignore);
    this.leader = await connected(this.database.url);
    this.pages = this.#newPages();
  }

  async load(...records: readonly TestRecord[]): Promise<void> {
    await this.loader.load(foldRows(records.map(({ topic, value }) => FOLDS[topic]?.(value)).filter((rows) => rows !== undefined)));
  }

  /** What Kafka has of a topic, as the loader reads it. */
  loadSent(topic: TopicName): Promise<void> {
    return this.load(...this.sentTo(topic).map(({ value }) => ({ topic, value: Buffer.from(value ?? '') })));
  }

  sentTo(topic: TopicName): readonly OutgoingRecord[] {
    return this.sent.filter((record) => record.topic === topic);
  }

  /** Rounds as the history is told of them, in their order. */
  roundsSent(): readonly AskedRound[] {
    return this.sentTo('deliveries.rounds').flatMap(({ value }) => (JSON.parse(String(value)) as { rounds: AskedRound[] }).rounds);
  }

  async registryHas(id: string, type: string, data: object = {}): Promise<void> {
    const position = (await this.database.query<{ next: number }>('select count(*)::integer + 1 as next from audit.configuration'))[0]?.next;
    await this.database.query(
      `insert into audit.configuration (stream, version, position, type, data, actor, at)
       select 'subscription/' || $1, count(*) + 1, $2, $3, $4, 'key_1', now() from audit.configuration where stream = 'subscription/' || $1`,
      [id, position, type, JSON.stringify(data)],
    );
  }

  subscribe(id: string, more: object = {}): Promise<void> {
    return this.registryHas(id, 'SubscriptionCreated', { id, tenant: 'default', name: id, event_types: ['*'], enabled: true, ...more });
  }

  /** The leader dies before its next statement but so many, and whatever it has begun is undone. */
  dieAfter(statements: number): void {
    const { leader } = this;
    const query = leader.query.bind(leader) as (...statement: unknown[]) => unknown; // one of its many forms
    let left = statements;
    Object.assign(leader, {
      query: (...statement: unknown[]) => {
        if (left-- > 0) return query(...statement);
        void leader.end();
        return Promise.reject(new Error('Connection terminated'));
      },
    });
  }

  requestOldest(): Promise<number> {
    const topics = { rounds: { name: 'deliveries.rounds', partitions: PARTITIONS }, requested: { name: 'deliveries.requested', partitions: PARTITIONS } };
    return new Requester({ send: (record) => this.#send(record), topics, requested: ignore, dropped: ignore }).sendOldest(queryable(this.leader));
  }

  makePage(): Promise<Made> {
    return this.pages.makeNext(this.leader);
  }

  /** As the leader works, until there is nothing more to be done now. Answers for how long. */
  async work(): Promise<number> {
    for (;;) {
      const sent = await this.requestOldest();
      const made = await this.makePage();
      if (made.kind === 'rest' && sent === 0) return made.ms;
    }
  }

  async close(): Promise<void> {
    await this.leader.end().catch(ignore);
    await this.loader.close();
    await this.pool.end();
    await this.database.drop();
  }

  async #send(record: OutgoingRecord): Promise<void> {
    await this.beforeSending(record);
    this.sent.push(record);
  }

  #newPages(): Pages {
    return new Pages({
      looking: this.looking,
      loaded: { isLoadedFor: () => Promise.resolve(this.isLoaded), forget: ignore },
      conclude: (tenant, id, conclusion) => this.replays.conclude(tenant, id, conclusion, 'delivery-audit'),
      log: { warn: ignore },
      now: () => new Date(),
      nowMs: () => this.nowMs,
    });
  }
}

const connected = async (url: string): Promise<Client> => {
  const client = new Client({ connectionString: url });
  client.on('error', ignore);
  await client.connect();
  return client;
};

/** As the router writes it. */
export const requestedValue = (event: Envelope, data: string, head: Omit<RequestedHead, 'event'>): Buffer => frame({ event, ...head }, Buffer.from(data), event.datacontenttype);
