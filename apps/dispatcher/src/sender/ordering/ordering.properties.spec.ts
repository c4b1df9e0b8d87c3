import { describe, expect, it } from '@jest/globals';
import { frame, type RequestedHead } from '@posthorn/contracts';
import * as fc from 'fast-check';
import { MemoryBacklog } from '../../spec-support/memory-backlog.js';
import { event, requestFor } from '../../spec-support/records.js';
import { Request } from '../delivery.js';
import type { Backlog } from './backlog.js';
import type { OrderedDelivery } from './ordered-delivery.js';
import { Ordering } from './ordering.js';

const PARTITION = 3;
const LONG_MS = 60_000;
const RUNS = Number(process.env['POSTHORN_ORDERING_RUNS'] ?? 500);

type Step =
  | { readonly kind: 'arrive'; readonly key: string; readonly fanOut: boolean }
  | { readonly kind: 'end'; readonly which: number; readonly how: 'success' | 'failure' | 'postponed' }
  | { readonly kind: 'wait'; readonly ms: number }
  | { readonly kind: 'crash' }
  | { readonly kind: 'deposed' }
  | { readonly kind: 'commit' }
  | { readonly kind: 'statements'; readonly fate: 'lost' | 'answers lost' | 'carried out' };

const steps: fc.Arbitrary<Step[]> = fc.array(
  fc.oneof(
    { weight: 8, arbitrary: fc.record({ kind: fc.constant('arrive' as const), key: fc.constantFrom('a', 'b'), fanOut: fc.boolean() }) },
    {
      weight: 8,
      arbitrary: fc.record({ kind: fc.constant('end' as const), which: fc.nat(5), how: fc.constantFrom('success', 'success', 'failure', 'postponed') }),
    },
    { weight: 4, arbitrary: fc.record({ kind: fc.constant('wait' as const), ms: fc.constantFrom(1, 400, 2_000, 6_000) }) },
    { weight: 1, arbitrary: fc.constant({ kind: 'crash' as const }) },
    { weight: 1, arbitrary: fc.constant({ kind: 'deposed' as const }) },
    { weight: 2, arbitrary: fc.constant({ kind: 'commit' as const }) },
    { weight: 2, arbitrary: fc.record({ kind: fc.constant('statements' as const), fate: fc.constantFrom('lost', 'answers lost', 'carried out') }) },
  ),
  { maxLength: 60 },
);

const arrive = (key: string, fanOut = false): Step => ({ kind: 'arrive', key, fanOut });
const end = (which: number, how: 'success' | 'failure' | 'postponed'): Step => ({ kind: 'end', which, how });
const wait = (ms: number): Step => ({ kind: 'wait', ms });
const statements = (fate: 'lost' | 'answers lost' | 'carried out'): Step => ({ kind: 'statements', fate });
const crash: Step = { kind: 'crash' };
const deposed: Step = { kind: 'deposed' };
const commit: Step = { kind: 'commit' };

/** What has to go wrong at once for these is too much to wait for. */
const rare: [Step[]][] = [
  // The first of a key has ended, and is read again because the same record's delivery to another subscription has not; the second is committed.
  [[arrive('a', true), arrive('a'), end(0, 'postponed'), wait(6_000), end(1, 'success'), end(1, 'success'), commit, crash]],
  [[arrive('a', true), arrive('a'), end(0, 'postponed'), wait(6_000), end(1, 'success'), end(1, 'success'), commit, wait(6_000), crash]],
  // The group commits nothing for a while.
  [[arrive('a'), end(0, 'success'), wait(2_000), arrive('a'), end(0, 'postponed'), crash]],
  // A head gets known to wait when those due after it have been read already.
  [[arrive('a'), end(0, 'failure'), wait(2_000), statements('lost'), wait(400), arrive('b'), end(0, 'postponed'), wait(3_050), statements('carried out')]],
  // One that was deposed before it could take the partition would take it from the one that has it.
  [[statements('lost'), deposed, statements('carried out'), arrive('a'), deposed, end(0, 'postponed')]],
  [[arrive('a'), arrive('a'), statements('lost'), crash, statements('carried out'), deposed]],
];

/** Deliveries of a key by their place in the partition, and when each was attempted and ended last. */
type Sent = { lastAttempt: number; ended: boolean; attempts: number };

/** One sender over a log, a backlog that outlives it, and receivers that take note. */
class World {
  nowMs = 1_000_000;
  readonly log: { readonly head: RequestedHead; readonly key: string }[] = [];
  readonly sent = new Map<string, Sent[]>();
  readonly store = new MemoryBacklog();
  fate: 'lost' | 'answers lost' | 'carried out' = 'carried out';
  readonly errors: string[] = [];
  #attempts = 0;
  #life = 0;
  #done = new Set<number>();
  #committed: { readonly offset: number; readonly done: ReadonlySet<number> } = { offset: 0, done: new Set() };
  #timers: { readonly atMs: number; readonly run: () => void; isOff: boolean }[] = [];
  #underWay: { readonly life: number; readonly delivery: OrderedDelivery; readonly ordering: () => Ordering }[] = [];
  #ordering = this.#start();

  /** Fan-outs have a second subscription, whose deliveries are of another order. */
  arrive(key: string, fanOut: boolean): void {
    const offset = this.log.length;
    const head = requestFor(fanOut ? ['sub_a', 'sub_b'] : ['sub_a'], { event: { ...event, id: `evt_${offset}`, partitionkey: key } });
    this.log.push({ head, key });
    for (const subscription of head.subscriptions) {
      const lane = `${subscription}/${key}`;
      this.sent.set(lane, [...(this.sent.get(lane) ?? []), { lastAttempt: -1, ended: false, attempts: 0 }]);
    }
    this.#read(offset);
  }

  end(which: number, how: 'success' | 'failure' | 'postponed'): void {
    const [ended] = this.#underWay.splice(which % Math.max(1, this.#underWay.length), 1);
    if (ended === undefined) return;
    const { delivery, ordering } = ended;
    if (how === 'success') {
      const sent = this.#sentOf(delivery);
      if (sent !== undefined) sent.ended = true;
      ordering().ended(delivery);
    } else {
      const { number } = delivery.request.head;
      ordering().later(delivery, { dueAtMs: this.nowMs + (how === 'failure' ? 5_000 : 1_000), number: how === 'failure' ? number + 1 : number, isReserved: how === 'postponed' });
    }
  }

  get isIdle(): boolean {
    return this.#underWay.length === 0;
  }

  get endsOpen(): number {
    return this.log.length - this.#done.size;
  }

  async wait(ms: number): Promise<void> {
    const untilMs = this.nowMs + ms;
    for (;;) {
      await settled();
      const next = this.#timers.filter(({ isOff }) => !isOff).toSorted((a, b) => a.atMs - b.atMs)[0];
      if (next === undefined || next.atMs > untilMs) break;
      this.nowMs = Math.max(this.nowMs, next.atMs);
      next.isOff = true;
      next.run();
    }
    this.#timers = this.#timers.filter(({ isOff }) => !isOff);
    this.nowMs = untilMs;
  }

  commit(): void {
    let offset = 0;
    while (this.#done.has(offset)) offset += 1;
    this.#committed = { offset, done: new Set(this.#done) };
  }

  /** Everything in memory is gone. */
  crash(): void {
    this.#life += 1;
    this.#underWay = [];
    this.#timers = [];
    this.#restart();
  }

  /** Another sender has the partition, and the one before has not been told: what it had under way comes to its end, and is told to it. */
  deposed(): void {
    this.#life += 1;
    this.#restart();
  }

  #restart(): void {
    this.#done = new Set(this.#committed.done);
    for (let offset = 0; offset < this.#committed.offset; offset += 1) this.#done.add(offset);
    this.#ordering = this.#start();
    for (let offset = this.#committed.offset; offset < this.log.length; offset += 1) if (!this.#done.has(offset)) this.#read(offset);
  }

  #start(): Ordering {
    const life = this.#life;
    const ordering: Ordering = new Ordering({
      backlog: this.#flaky(),
      feed: { whenReached: (_, run) => run() },
      cancellations: { isCancelled: () => false, has: () => false, whenRead: (_, run) => run() },
      limit: 1_000,
      nowMs: () => this.nowMs,
      setTimer: (ms, run) => {
        const timer = { atMs: this.nowMs + ms, run, isOff: false };
        this.#timers.push(timer);
        return () => (timer.isOff = true);
      },
      committed: () => (life === this.#life ? this.#committed.offset : undefined),
      isCommitted: (_, offset) => life === this.#life && (offset < this.#committed.offset || this.#committed.done.has(offset)),
      isMember: async () => life === this.#life,
      isWithdrawn: () => false,
      offer: (delivery) => {
        // The sender looks whether its record is still its own before it sends.
        if (life !== this.#life) return;
        this.#attempt(delivery);
        this.#underWay.push({ life, delivery, ordering: () => ordering });
      },
      release: () => Promise.reject(new Error('nothing is withdrawn')),
      refuse: () => Promise.reject(new Error('there is room')),
      tellBehind: async () => undefined,
      fatal: (error) => {
        // One that was deposed ends itself in time.
        if (life === this.#life) this.errors.push(String(error));
      },
    });
    ordering.assigned(PARTITION, this.#committed.offset);
    return ordering;
  }

  #read(offset: number): void {
    const record = this.log[offset];
    if (record === undefined) return;
    const { head, key } = record;
    const life = this.#life;
    const world = this.#state();
    const request = new Request(
      {
        partition: PARTITION,
        offset: String(offset),
        value: frame(head, Buffer.from('{}')),
        get revoked() {
          return life !== world.life();
        },
        done: () => void (life === world.life() && world.done(offset)),
      },
      head,
      Buffer.from('{}'),
    );
    for (const [index, subscription] of head.subscriptions.entries()) this.#ordering.arrive({ request, subscription, key, index });
  }

  #state() {
    return { life: () => this.#life, done: (offset: number) => this.#done.add(offset) };
  }

  #placeOf({ request, subscription, key }: OrderedDelivery): number {
    return this.log.slice(0, request.offset).filter(({ head, key: other }) => other === key && head.subscriptions.includes(subscription)).length;
  }

  #sentOf(delivery: OrderedDelivery): Sent | undefined {
    return this.sent.get(`${delivery.subscription}/${delivery.key}`)?.[this.#placeOf(delivery)];
  }

  #attempt(delivery: OrderedDelivery): void {
    const lane = `${delivery.subscription}/${delivery.key}`;
    const place = this.#placeOf(delivery);
    const all = this.sent.get(lane) ?? [];
    const open = all.slice(0, place).findIndex(({ ended }) => !ended);
    if (open !== -1) this.errors.push(`${lane} ${place} is attempted while ${open} has not ended`);
    const sent = all[place];
    if (sent === undefined) return;
    sent.lastAttempt = this.#attempts;
    sent.attempts += 1;
    this.#attempts += 1;
  }

  /** The last that each receiver hears of a key has to be in order, too: what is repeated after a crash is repeated with all that came behind it. */
  checkLast(): void {
    for (const [lane, all] of this.sent) {
      for (const [place, sent] of all.entries()) {
        if (!sent.ended) this.errors.push(`${lane} ${place} has not ended`);
        const before = all[place - 1];
        if (before !== undefined && before.lastAttempt > sent.lastAttempt) this.errors.push(`${lane} ${place - 1} was repeated behind ${place}`);
      }
    }
  }

  #flaky(): Backlog {
    const { store } = this;
    const through =
      <A extends unknown[], R>(run: (...args: A) => Promise<R>) =>
      async (...args: A): Promise<R> => {
        if (this.fate === 'lost') throw new Error('lost');
        const answer = await run.apply(store, args);
        if (this.fate === 'answers lost') throw new Error('the answer was lost');
        return answer;
      };
    return {
      take: through(store.take),
      park: through(store.park),
      postpone: through(store.postpone),
      advance: through(store.advance),
      due: through(store.due),
      nextDueMs: through(store.nextDueMs),
      hasten: through(store.hasten),
      hastenRounds: through(store.hastenRounds),
      forget: through(store.forget),
      close: through(store.close),
    };
  }
}

/** All that is to follow from what has happened has followed. */
const settled = (): Promise<void> => new Promise((resolve) => void setImmediate(resolve));

const run = async (history: readonly Step[]): Promise<World> => {
  const world = new World();
  for (const step of history) {
    if (step.kind === 'arrive') world.arrive(step.key, step.fanOut);
    else if (step.kind === 'end') world.end(step.which, step.how);
    else if (step.kind === 'wait') await world.wait(step.ms);
    else if (step.kind === 'crash') world.crash();
    else if (step.kind === 'deposed') world.deposed();
    else if (step.kind === 'commit') world.commit();
    else world.fate = step.fate;
    await settled();
  }
  world.fate = 'carried out';
  for (let round = 0; round < 200; round += 1) {
    await world.wait(1_000);
    while (!world.isIdle) world.end(0, 'success');
  }
  world.commit();
  await world.wait(LONG_MS);
  world.checkLast();
  if (world.endsOpen > 0) world.errors.push(`${world.endsOpen} records are not done`);
  if (world.store.rows.size > 0) world.errors.push(`${world.store.rows.size} rows are left`);
  if (world.store.records.size > 0) world.errors.push(`${world.store.records.size} records are left in the store`);
  return world;
};

describe('order, whatever happens', () => {
  it('holds in every key, and everything ends', async () => {
    await fc.assert(
      fc.asyncProperty(steps, async (history) => {
        const { errors } = await run(history);
        expect(errors).toEqual([]);
      }),
      { numRuns: RUNS, examples: rare },
    );
  }, 60_000 + RUNS * 10);
});
