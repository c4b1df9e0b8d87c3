import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { eventually } from '@posthorn/testkit';
import { Client } from 'pg';
import { startSystem, type System } from '../support/system.ts';
import { idPrefix } from './event-id.ts';
import type { Door, GeneratorAnswers, GeneratorAsks, Manner, Produced, SinkAnswers, SinkAsks, Taken } from './messages.ts';
import { lagsOf, sumOf } from './metrics-text.ts';
import { Sampler } from './sampler.ts';
import { startWorker, type Worker } from './worker.ts';

const SUBSCRIPTIONS = '/v1/tenants/default/subscriptions';
const SERVICES = ['EVENT_INGESTION', 'DISPATCHER', 'SUBSCRIPTION_REGISTRY', 'DELIVERY_AUDIT'];
/** Of one call. */
const BATCH = 1_000;
/** Longer than the first retry takes, and a start of a service. */
const STILL_MS = 60_000;
const VERIFY_TIMEOUT_MS = 60_000;
const LOOK_EVERY_MS = 100;
/** Of wrong answers, how many are told. */
const REASONS = 3;

export type Subscription = { readonly id: string; readonly number: number; readonly type: string };

export type SubscriptionWish = {
  readonly type: string;
  readonly manner?: Manner;
  /** Requests at a time; what the API gives unless said. */
  readonly concurrency?: number;
};

export type LoadWish = { readonly door?: Door; readonly types: readonly string[]; readonly events: number; readonly perSecond?: number; readonly fanOut?: number };

/** A load of which every attempt is in the audit. */
export type Settled = {
  readonly deliveries: number;
  /** From the first event to the last row. */
  readonly seconds: number;
  readonly produced: Produced;
};

/** A load that was looked through: every delivery of it has arrived and is in the audit, once. */
export type Verified = Taken & {
  /** Requests beyond one for each delivery; all of them are attempts in the audit. */
  readonly repeated: number;
};

/** A load under way. */
export type Loading = {
  readonly run: number;
  readonly deliveries: number;
  readonly startedMs: number;
  /** Resolves when the last event has been acknowledged. */
  readonly produced: Promise<Produced>;
  /** Attempts in the audit since it began. */
  recorded(): Promise<number>;
  settled(): Promise<Settled>;
  /** Afterwards: asking the tables costs more than is to be seen in what is measured. @throws {Error} when something of it is lost, repeated without a trace, or wrongly signed */
  verified(): Promise<Verified>;
};

/** The whole system with everything around it, for the length of a bench. */
export class Bench {
  /** Holds the system's data, logs and env file. */
  readonly dir: string;
  readonly sink: Worker<SinkAsks, SinkAnswers>;
  readonly sinkUrl: string;
  readonly sampler = new Sampler();
  #runs = 0;
  #subscribers = 0;
  #generator: Worker<GeneratorAsks, GeneratorAnswers>;
  #database: Client;
  #system: System;

  private constructor(dir: string, sink: Worker<SinkAsks, SinkAnswers>, sinkUrl: string, system: System, database: Client) {
    this.dir = dir;
    this.sink = sink;
    this.sinkUrl = sinkUrl;
    this.#system = system;
    this.#database = database;
    this.#generator = startGenerator(system);
    this.#watch();
  }

  static async start(dir: string, env: Readonly<Record<string, string>> = {}): Promise<Bench> {
    const sink = startWorker<SinkAsks, SinkAnswers>(join(import.meta.dirname, 'sink.ts'));
    try {
      const system = await startSystem({ dir, env });
      const { port } = await sink.ask({ kind: 'listen' });
      return new Bench(dir, sink, `http://127.0.0.1:${port}`, system, await connect(system));
    } catch (error) {
      await sink.end();
      throw error;
    }
  }

  get system(): System {
    return this.#system;
  }

  get database(): Client {
    return this.#database;
  }

  /** Everything but the sink, as before a restart of the machine; its data stays. */
  async stopSystem(): Promise<void> {
    this.sampler.watch(() => ({ sink: this.sink.pid }));
    await this.#generator.end();
    await this.#database.end().catch(() => undefined);
    await this.#system.stop();
  }

  /** After `stopSystem`. Resolves when every service is ready. */
  async startSystem(startTimeoutMs: number): Promise<void> {
    this.#system = await startSystem({ dir: this.dir, startTimeoutMs });
    this.#database = await connect(this.#system);
    this.#generator = startGenerator(this.#system);
    this.#watch();
  }

  async stop(): Promise<void> {
    this.sampler.stop();
    await this.stopSystem();
    await this.sink.end();
  }

  async subscribe(wishes: readonly SubscriptionWish[]): Promise<readonly Subscription[]> {
    const made: Subscription[] = [];
    for (let from = 0; from < wishes.length; from += BATCH) made.push(...(await this.#subscribeBatch(wishes.slice(from, from + BATCH))));
    return made;
  }

  async unsubscribe(subscriptions: readonly Subscription[]): Promise<void> {
    for (const { id } of subscriptions) await this.#system.rest('DELETE', `${SUBSCRIPTIONS}/${id}`);
  }

  /** Lets a load go; with a rate, it takes as long as its events say. */
  async begin({ door = 'kafka', types, events, perSecond, fanOut = 1 }: LoadWish): Promise<Loading> {
    this.#runs += 1;
    const run = this.#runs;
    const before = await this.#attempts();
    const startedMs = performance.now();
    const produced = this.#generator.ask({ kind: 'produce', run, door, types, events, ...(perSecond !== undefined && { perSecond }) });
    // Whoever waits for the end sees it; until then nobody may.
    produced.catch(() => undefined);
    const deliveries = events * fanOut;
    const recorded = async (): Promise<number> => (await this.#attempts()) - before;
    const settled = async (): Promise<Settled> => {
      const told = await produced;
      if (told.refused.length > 0) throw new Error(`load ${run}: events were refused: ${told.refused.slice(0, REASONS).join('; ')}`);
      await this.#arrived(run, deliveries, recorded);
      return { deliveries, seconds: (performance.now() - startedMs) / 1_000, produced: told };
    };
    return { run, deliveries, startedMs, produced, recorded, settled, verified: () => this.#verified(run, deliveries) };
  }

  /** A load from its first event to its last row, and looked through. */
  async load(wish: LoadWish): Promise<Settled & Verified> {
    const loading = await this.begin(wish);
    return { ...(await loading.settled()), ...(await loading.verified()) };
  }

  /** Records that each reader has not done yet, by topic; those of all services. */
  async lags(): Promise<ReadonlyMap<string, number>> {
    const texts = await Promise.all(SERVICES.map((service) => this.#system.metrics(service)));
    const lags = new Map<string, number>();
    for (const [n, text] of texts.entries()) for (const [topic, lag] of lagsOf(text)) lags.set(`${readerOf(SERVICES[n] ?? '')}: ${topic}`, lag);
    return lags;
  }

  /** Until nothing is under way any more; what waits for its retry may. */
  async quiet(): Promise<void> {
    await eventually(async () => [...(await this.lags()).values()].every((lag) => lag === 0), { timeoutMs: 60_000, everyMs: 200, describe: 'all readers to have caught up' });
  }

  async #subscribeBatch(wishes: readonly SubscriptionWish[]): Promise<readonly Subscription[]> {
    const numbered = wishes.map((wish) => ({ ...wish, number: (this.#subscribers += 1) }));
    const { results } = await this.#system.rest<{ results: readonly ({ id: string; secret: string } | { error: object })[] }>('POST', `${SUBSCRIPTIONS}/batch`, {
      subscriptions: numbered.map(({ number, type, concurrency }) => ({
        name: `bench ${number}`,
        url: `${this.sinkUrl}/${number}`,
        event_types: [type],
        policy: { ...(concurrency !== undefined && { max_concurrency: concurrency }) },
      })),
    });
    const subscriptions = results.map((result, n) => {
      const wish = numbered[n];
      if ('error' in result || wish === undefined) throw new Error(`a subscription was refused: ${JSON.stringify(result)}`);
      return { ...wish, id: result.id, secret: result.secret };
    });
    await this.sink.ask({
      kind: 'subscribers',
      subscribers: subscriptions.map(({ number, manner = { kind: 'quick' }, secret }) => ({ number, manner, secret })),
    });
    return subscriptions;
  }

  async #attempts(): Promise<number> {
    return sumOf(await this.#system.metrics('DELIVERY_AUDIT'), 'posthorn_audit_rows_total', 'kind="attempt"');
  }

  /** @throws {Error} when nothing has moved for so long that it must be lost */
  async #arrived(run: number, deliveries: number, recorded: () => Promise<number>): Promise<void> {
    let seen = { arrived: 0, inAudit: 0, atMs: performance.now() };
    while (seen.arrived < deliveries || seen.inAudit < deliveries) {
      await delay(LOOK_EVERY_MS);
      const { deliveries: arrived } = await this.sink.ask({ kind: 'counts', run });
      const inAudit = arrived < deliveries ? seen.inAudit : await recorded();
      const isMoving = arrived > seen.arrived || inAudit > seen.inAudit;
      if (isMoving) seen = { arrived, inAudit, atMs: performance.now() };
      else if (performance.now() - seen.atMs > STILL_MS) {
        throw new Error(`load ${run}: of ${deliveries} deliveries ${arrived} arrived, ${await recorded()} attempts are in the audit, and nothing has moved for ${STILL_MS / 1_000} s`);
      }
    }
  }

  /** Promises 1 to 3 of the design: nothing lost, every request an attempt, every signature right. */
  async #verified(run: number, deliveries: number): Promise<Verified> {
    // What another load had meanwhile counts in the audit's metric too; its tables tell them apart.
    let inAudit = { deliveries: 0, delivered: 0, attempts: 0 };
    await eventually(
      async () => {
        inAudit = await this.#inAudit(run);
        return inAudit.delivered >= deliveries;
      },
      { timeoutMs: VERIFY_TIMEOUT_MS, everyMs: 1_000, describe: () => `load ${run}: of ${deliveries} deliveries ${inAudit.delivered} are delivered, the audit says` },
    );
    const taken = await this.sink.ask({ kind: 'take', run });
    const problems = [
      taken.deliveries === deliveries ? [] : [`${deliveries} deliveries were due, ${taken.deliveries} arrived`],
      inAudit.deliveries === deliveries ? [] : [`${deliveries} deliveries were due, ${inAudit.deliveries} are in the audit`],
      inAudit.attempts === taken.requests ? [] : [`${taken.requests} requests arrived, ${inAudit.attempts} attempts are in the audit`],
      taken.signaturesWrong.length === 0 && taken.signaturesVerified > 0 ? [] : [`signatures: ${taken.signaturesVerified} verified, wrong ${taken.signaturesWrong.join('; ')}`],
    ].flat();
    if (problems.length > 0) throw new Error(`load ${run}: ${problems.join('; ')}`);
    return { ...taken, repeated: taken.requests - taken.deliveries };
  }

  async #inAudit(run: number): Promise<{ readonly deliveries: number; readonly delivered: number; readonly attempts: number }> {
    const { rows } = await this.#database.query<{ deliveries: number; delivered: number; attempts: number }>(
      `select count(*)::integer as deliveries, count(*) filter (where status = 'delivered')::integer as delivered, coalesce(sum(attempts), 0)::integer as attempts
       from audit.deliveries where tenant = 'default' and event_id like $1`,
      [`${idPrefix(run)}%`],
    );
    return rows[0] ?? { deliveries: 0, delivered: 0, attempts: 0 };
  }

  #watch(): void {
    const system = this.#system;
    const { pid } = this.#generator;
    this.sampler.watch(() => ({ ...system.processes(), sink: this.sink.pid, generator: pid }));
  }
}

const connect = async (system: System): Promise<Client> => {
  const database = new Client(system.databaseUrl);
  // Ctrl-C reaches everything at once, and PostgreSQL may be gone before we have said goodbye.
  database.on('error', () => undefined);
  await database.connect();
  return database;
};

const startGenerator = (system: System): Worker<GeneratorAsks, GeneratorAnswers> =>
  startWorker(join(import.meta.dirname, 'generator.ts'), [system.brokers, system.urlOf('EVENT_INGESTION'), system.apiKey]);

const readerOf = (service: string): string => service.toLowerCase().replaceAll('_', '-');
