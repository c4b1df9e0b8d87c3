import { describe, expect, it } from '@jest/globals';
import { frame } from '@posthorn/contracts';
import { KafkaError, type OutgoingRecord, type Producer, type ProducerGuard } from '@posthorn/kafka';
import { hashOfRecord } from './accepted-log.js';
import { type Claim, type Claimed, type Claims, type Orphan, OwnerLost } from './claims.js';
import { Deduplicator, type Timing } from './deduplicator.js';
import { type Hash, hashOfEvent, hashOfKey } from './hash.js';
import { settleOrphans } from './orphans.js';

const ignore = (): void => undefined;
const logger = { debug: ignore, info: ignore, warn: ignore, error: ignore, fatal: ignore };
const turn = (): Promise<void> => new Promise((resolve) => void setImmediate(resolve));

/** Mulberry32. */
const randomOf = (seed: number) => () => {
  seed = (seed + 0x6d2b79f5) | 0;
  let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
  t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
  return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
};

type Row = { readonly claim: string };

/** The rules of the tables, in memory, for all replicas of a world; statements and their answers get lost as the dice fall. */
class Database {
  readonly ids = new Map<Hash, Row>();
  readonly claims = new Map<string, { owner: string; claim: Claim }>();
  readonly owners = new Map<string, { dead: boolean }>();
  #number = 0;

  constructor(private readonly random: () => number) {}

  session(): Claims & { isCut: boolean; connections: number } {
    const { random } = this;
    const trip = async <T>(work: () => T): Promise<T> => {
      await turn();
      if (session.isCut || random() < 0.1) throw new Error('connection lost before');
      const answer = work();
      if (random() < 0.1) throw new Error('connection lost after');
      await turn();
      return answer;
    };
    const session = {
      isCut: false,
      connections: 1,
      enter: (owner: string) => trip(() => void (this.owners.get(owner) ?? this.owners.set(owner, { dead: false }))),
      claim: (owner: string, closed: readonly string[], claim: Claim | undefined) => trip(() => this.#claim(owner, closed, claim)),
      release: (id: string, hashes: readonly Hash[], isEnd: boolean) => trip(() => this.#release(id, hashes, isEnd)),
      orphans: () => trip(() => this.#orphans()),
      close: async () => undefined,
    };
    return session;
  }

  #claim(owner: string, closed: readonly string[], claim: Claim | undefined): Claimed | undefined {
    if (this.owners.get(owner)?.dead !== false) throw new OwnerLost('dead');
    for (const id of closed) if (this.claims.get(id)?.owner === owner) this.claims.delete(id);
    if (!claim) return undefined;
    const [known] = [...this.claims].find(([, other]) => other.owner === owner && other.claim.ticket === claim.ticket) ?? [];
    const id = known ?? String(++this.#number);
    this.claims.set(id, { owner, claim });
    const lost = new Map<number, 'open' | 'closed'>();
    for (const [place, hash] of claim.hashes.entries()) {
      const row = this.ids.get(hash);
      if (!row) this.ids.set(hash, { claim: id });
      else if (row.claim !== id) lost.set(place, this.claims.has(row.claim) ? 'open' : 'closed');
    }
    if (lost.size === claim.hashes.length) this.claims.delete(id);
    return { id, lost };
  }

  #release(id: string, hashes: readonly Hash[], isEnd: boolean): void {
    if (!this.claims.has(id)) return;
    for (const hash of hashes) if (this.ids.get(hash)?.claim === id) this.ids.delete(hash);
    if (isEnd) this.claims.delete(id);
  }

  #orphans(): readonly Orphan[] {
    return [...this.claims].filter(([, { owner }]) => this.owners.get(owner)?.dead).map(([id, { claim }]) => ({ id, hashes: claim.hashes, bounds: [0] }));
  }
}

/** What a log holds, by the order of its arrival. */
type Written = { readonly hash: Hash; readonly key: string | undefined; readonly value: string };

/** A producer as libs/kafka has it: one request at a time, in order, again until it is answered, by its guard's leave. */
class SimulatedProducer implements Producer {
  readonly #queue: { record: OutgoingRecord; resolve: () => void; reject: (error: Error) => void }[] = [];
  #isPumping = false;
  isDead = false;
  /** Kafka is away, too. */
  isStalled = false;

  constructor(
    private readonly log: Written[],
    private readonly random: () => number,
    private readonly guard: ProducerGuard,
  ) {}

  get pendingBytes(): number {
    return this.#queue.length;
  }

  send(record: OutgoingRecord, { deadlineMs }: { deadlineMs?: number | undefined } = {}): Promise<void> {
    if (deadlineMs !== undefined && this.random() < 0.1) return Promise.reject(new KafkaError('unavailable', 'never tried'));
    return new Promise((resolve, reject) => {
      this.#queue.push({ record, resolve, reject });
      if (!this.#isPumping) void this.#pump();
    });
  }

  async #pump(): Promise<void> {
    this.#isPumping = true;
    await turn();
    while (this.#queue.length > 0) {
      let batch = this.#queue.splice(0, 1 + Math.floor(this.random() * 20));
      for (let isRepetition = false; batch.length > 0; isRepetition = true) {
        while (this.isStalled) await turn();
        const verdicts = await this.guard(batch.map(({ record }) => record), isRepetition);
        batch = batch.filter(({ resolve, reject }, n) => {
          if (verdicts?.[n] === 'written') resolve();
          if (verdicts?.[n] === 'withdraw') reject(new KafkaError('withdrawn', 'withdrawn'));
          return verdicts === undefined || verdicts[n] === 'send';
        });
        await turn();
        if (this.isDead) return;
        const fate = this.random();
        const written = fate < 0.1 ? 0 : fate < 0.2 ? Math.floor(this.random() * batch.length) : batch.length;
        for (const { record } of batch.slice(0, written)) {
          const hash = hashOfRecord(record.value);
          if (hash !== undefined) this.log.push({ hash, key: record.key?.toString(), value: String(record.key) });
        }
        if (fate < 0.3) continue;
        await turn();
        if (this.isDead) return;
        for (const { resolve } of batch) resolve();
        batch = [];
      }
    }
    this.#isPumping = false;
  }

  async flush(): Promise<void> {}
  async close(): Promise<void> {}
}

const TOPIC = 'accepted';
const TIMING: Timing = { leaseMs: 20, beatMs: 5, paceMs: 1, firstPauseMs: 0, longestPauseMs: 2, closeWithinMs: 1, settledAfterMs: 0 };

const recordOf = (id: string): OutgoingRecord => ({
  topic: TOPIC,
  key: id,
  value: frame({ specversion: '1.0', id, tenant: 't', type: 'a', source: '/s', time: '', acceptedtime: '' }, Buffer.from('1')),
});

describe('replicas that die, lose statements and answers, and are taken for dead', () => {
  it.each(Array.from({ length: 60 }, (_, seed) => seed))('accept every event once: seed %d', async (seed) => {
    const random = randomOf(seed);
    const database = new Database(random);
    const log: Written[] = [];
    const found = async (): Promise<ReadonlySet<Hash>> => new Set(log.map(({ hash }) => hash));
    const acceptedLog = { bounds: [0], find: found, refresh: async () => undefined };

    const start = async () => {
      const session = database.session();
      let producer: SimulatedProducer | undefined;
      for (;;) {
        try {
          const deduplicator = await Deduplicator.open({
            claims: session,
            log: acceptedLog,
            topic: TOPIC,
            openProducer: async (guard) => (producer = new SimulatedProducer(log, random, guard)),
            logger,
            onStatement: ignore,
            timing: TIMING,
          });
          return { deduplicator, session, producer };
        } catch {
          await turn();
        }
      }
    };

    const settling = database.session();
    const settlement = { isOver: false };
    const settler = (async () => {
      while (!settlement.isOver) {
        await settleOrphans({ claims: settling, log: acceptedLog, logger }).catch(ignore);
        await turn();
      }
    })();

    let replicas = [await start(), await start()];
    const closing: Promise<void>[] = [];
    const bury = (owner: string): void => void database.owners.set(owner, { dead: true });
    const kill = async (n: number): Promise<void> => {
      const victim = replicas[n];
      if (!victim) return;
      victim.session.isCut = true;
      if (victim.producer) victim.producer.isDead = true;
      closing.push(victim.deduplicator.close());
      replicas[n] = await start();
      bury(victim.deduplicator.owner);
    };
    /** Lives, but cannot say so: after its lease and what it had under way then, it is taken for dead. */
    const cutOff = async (n: number): Promise<void> => {
      const victim = replicas[n];
      if (!victim) return;
      victim.session.isCut = true;
      if (victim.producer) victim.producer.isStalled = random() < 0.5;
      const { owner } = victim.deduplicator;
      await new Promise((resolve) => void setTimeout(resolve, 25));
      for (let n = 0; n < 10; n++) await turn();
      bury(owner);
      await turn();
      victim.session.isCut = false;
      if (victim.producer) victim.producer.isStalled = false;
    };

    const ids = Array.from({ length: 120 }, (_, n) => `e${n}`);
    /** A client: publishes again until it has an answer, wherever somebody listens. */
    const insist = async (id: string, key: string | undefined): Promise<void> => {
      for (;;) {
        const replica = replicas[Math.floor(random() * replicas.length)];
        const ended = replica?.deduplicator.send({ hash: hashOfEvent('t', id), key, record: recordOf(id) }, 100);
        const late = new Promise<undefined>((resolve) => void setTimeout(() => resolve(undefined), 20));
        const answer = await Promise.race([ended, late]).catch(() => undefined);
        if (answer !== undefined) return;
      }
    };
    const clients: Promise<void>[] = [];
    for (const id of ids) {
      clients.push(insist(id, undefined));
      if (random() < 0.5) clients.push(insist(id, undefined));
      if (random() < 0.3) await turn();
      if (random() < 0.03) await kill(random() < 0.5 ? 0 : 1);
      if (random() < 0.03) await cutOff(random() < 0.5 ? 0 : 1);
    }
    await Promise.all(clients);
    await Promise.all(ids.map((id) => insist(id, undefined)));
    const hashes = log.map(({ hash }) => hash);
    expect(hashes.length - new Set(hashes).size).toBe(0);
    expect(new Set(hashes)).toEqual(new Set(ids.map((id) => hashOfEvent('t', id))));
    settlement.isOver = true;
    await settler;
    await Promise.all([...closing, ...replicas.map(({ deduplicator }) => deduplicator.close())]);
    replicas = [];
  });
});

/** Dice that never fall: all goes well. */
const never = (): number => 1;

const start = async (database: Database, log: Written[]) => {
  const session = database.session();
  const deduplicator = await Deduplicator.open({
    claims: session,
    log: { bounds: [0], find: async () => new Set<Hash>(), refresh: async () => undefined },
    topic: TOPIC,
    openProducer: async (guard) => new SimulatedProducer(log, never, guard),
    logger,
    onStatement: ignore,
    timing: TIMING,
  });
  const publish = (id: string) => deduplicator.send({ hash: hashOfEvent('t', id), key: undefined, record: recordOf(id) });
  return { session, deduplicator, publish };
};

describe('a crash of PostgreSQL that forgets the last claims', () => {
  it('is made good by their owner, from its memory', async () => {
    const database = new Database(never);
    const log: Written[] = [];
    const [one, other] = [await start(database, log), await start(database, log)];
    await Promise.all(['a', 'b', 'c'].map(one.publish));
    while (database.claims.size > 0) await turn();
    database.ids.clear();
    one.session.connections++;
    while (database.ids.size < 3 || database.claims.size > 0) await turn();
    expect(await Promise.all(['a', 'b', 'c', 'd'].map(other.publish))).toEqual(['duplicate', 'duplicate', 'duplicate', 'accepted']);
    await Promise.all([one.deduplicator.close(), other.deduplicator.close()]);
  });
});

describe('what waits while PostgreSQL is away', () => {
  it.each([
    ['an event that is published again and again', () => 'a'],
    ['events, however small', (n: number) => `e${n}`],
  ])('is counted: %s', async (_, idOf) => {
    const { session, deduplicator, publish } = await start(new Database(never), []);
    session.isCut = true;
    const before = deduplicator.pendingBytes;
    const published = Array.from({ length: 100 }, (_, n) => publish(idOf(n)));
    expect(deduplicator.pendingBytes - before).toBeGreaterThan(100 * 1024);
    session.isCut = false;
    await Promise.all(published);
    expect(deduplicator.pendingBytes).toBe(before);
    await deduplicator.close();
  });

  it.each([
    ['a key that is used again and again', () => 'k'],
    ['keys', (n: number) => `k${n}`],
  ])('is counted: %s', async (_, keyOf) => {
    const { session, deduplicator } = await start(new Database(never), []);
    session.isCut = true;
    const before = deduplicator.pendingBytes;
    const noted = Array.from({ length: 100 }, (_, n) => deduplicator.note(hashOfKey('a', 't', keyOf(n)), 10_000));
    expect(deduplicator.pendingBytes - before).toBeGreaterThanOrEqual(100 * 1024);
    session.isCut = false;
    await Promise.all(
      noted.map(async (note, n) => {
        const known = await note;
        if (known.kind === 'new' && n % 2 === 0) known.keep();
        else if (known.kind === 'new') known.forget();
      }),
    );
    await turn();
    expect(deduplicator.pendingBytes).toBe(before);
    await deduplicator.close();
  });
});
