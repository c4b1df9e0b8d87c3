import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals';
import type { Outcome, SubscriptionState } from '@posthorn/contracts';
import { startLedger, type Entry, type Ledger } from '../../../test/support/ledger.js';
import type { Service } from '../../../test/support/service.js';
import { World } from './world.js';

jest.setTimeout(180_000);

const PER_SECOND = 60;
/** In each of the three parts of the run. */
const EVENTS = 300;
const SUBSCRIBER_MS = 25;
const RATE = { per_second: 40, burst: 5 };
/** Before a crash, that what is repeated afterwards can have been sent first: commits are half a second apart. */
const WINDOW_MS = 1_500;

const policy: SubscriptionState['policy'] = { timeout_ms: 5_000, max_concurrency: 10, ordering: 'none', disable_after_ms: 0, retry_schedule_ms: [1_000, 1_000] };
const policies: Readonly<Record<string, SubscriptionState['policy']>> = {
  plain_1: policy,
  plain_2: policy,
  plain_3: policy,
  four_at_a_time: { ...policy, max_concurrency: 4 },
  limited: { ...policy, rate_limit: RATE },
  spread: { ...policy, spread: 3, max_concurrency: 9 },
  flapping: policy,
};
/** Some at first, and never so many that the subscriber would be taken for one that is down. */
const isRefused = (path: string, id: string): boolean => path === '/flapping' && id.endsWith('0');

const paths = Object.keys(policies).map((id) => `/${id}`);

let ledger: Ledger;
let world: World;
let senders: Service[];

beforeAll(async () => {
  ledger = await startLedger((path, id, times) => ({ status: isRefused(path, id) && times === 0 ? 500 : 200, delayMs: SUBSCRIBER_MS }));
  world = await World.start('replicas', 'router,delay', (world) => {
    const state = world.subscription('');
    return Object.entries(policies).map(([id, policy]) => ({ ...state, id, url: `${ledger.url}/${id}`, policy }));
  });
  senders = [await world.another('sender')];
});

afterAll(async () => {
  await world?.close();
  await ledger?.close();
});

/** At a steady rate, while something is done to the senders; resolves when every delivery has come to its end. */
const flowThrough = async (name: string, meanwhile: () => Promise<unknown>): Promise<void> => {
  ledger.clear();
  const ids = Array.from({ length: EVENTS }, (_, n) => `${name}-${n}`);
  const publishing = world.publishAtRate(ids, PER_SECOND);
  await world.until(() => ledger.count() > EVENTS || undefined, `the first deliveries of ${name}`);
  await meanwhile();
  await publishing;
  const wanted = EVENTS * paths.length;
  const isOurs = ({ event_id }: Outcome): boolean => event_id.startsWith(`${name}-`);
  const ended = (subscription?: string): number =>
    new Set(world.outcomes.filter((outcome) => isOurs(outcome) && outcome.status !== 'retrying' && (subscription ?? outcome.subscription_id) === outcome.subscription_id).map(({ delivery_id }) => delivery_id)).size;
  const told = (): string => Object.keys(policies).map((id) => `${ended(id)} of ${id}`).join(', ');
  await world.until(() => ended() >= wanted || undefined, () => `${EVENTS} deliveries each to end; there are ${told()}`);

  expect([...ledger.times().keys()].toSorted()).toEqual(paths.flatMap((path) => ids.map((id) => `${path} ${id}`)).toSorted());
  expect(mostUnderWay('/four_at_a_time')).toBeLessThanOrEqual(4);
  expect(mostUnderWay('/spread')).toBeLessThanOrEqual(9);
};

/** How often deliveries of this part took which course, as often as it is recorded. */
const coursesOf = (name: string): Readonly<Record<string, number>> => {
  const attempts = new Map<string, Set<string>>();
  for (const { delivery_id, event_id, number, status } of world.outcomes) {
    if (event_id.startsWith(`${name}-`)) attempts.set(delivery_id, (attempts.get(delivery_id) ?? new Set()).add(`${number} ${status}`));
  }
  const courses = Map.groupBy(attempts.values(), (course) => [...course].toSorted().join(', '));
  return Object.fromEntries([...courses].map(([course, deliveries]) => [course, deliveries.length]));
};

/** Of what is not repeated: each attempt is recorded as one thing, and the last one ends the delivery. */
const regular = { '1 delivered': EVENTS * (paths.length - 0.1), '1 retrying, 2 delivered': EVENTS * 0.1 };

const ofPath = (path: string): readonly Entry[] => ledger.entries.filter((entry) => entry.path === path);

const mostUnderWay = (path: string): number => Math.max(...ofPath(path).map(({ underWay }) => underWay));

/** Requests beyond the one, or the two where the first is refused, that each delivery needs. */
const repetitions = (): readonly { readonly publishedMs: number; readonly firstMs: number }[] => {
  const byDelivery = Map.groupBy(ledger.entries, ({ path, id }) => `${path} ${id}`);
  return [...byDelivery.values()].flatMap((requests) => {
    const [first] = requests;
    if (first === undefined) return [];
    const needed = isRefused(first.path, first.id) ? 2 : 1;
    return requests.slice(needed).map(() => ({ publishedMs: world.publishedMs.get(first.id) ?? 0, firstMs: first.atMs }));
  });
};

/** When requests were begun, by the clock of their senders: a receiver on a busy machine sees them when it gets round to it. */
const startsMs = (subscription: string, name: string): readonly number[] =>
  world.outcomes
    .filter(({ subscription_id, event_id }) => subscription_id === subscription && event_id.startsWith(`${name}-`))
    .flatMap(({ attempt }) => (attempt ? [Date.parse(attempt.started_at)] : []))
    .toSorted((a, b) => a - b);

/** The most of these moments that lie within any such time. */
const mostWithin = (momentsMs: readonly number[], ms: number): number => {
  let most = 0;
  let from = 0;
  for (const [to, atMs] of momentsMs.entries()) {
    while ((momentsMs[from] ?? atMs) <= atMs - ms) from += 1;
    most = Math.max(most, to - from + 1);
  }
  return most;
};

describe('senders that share partitions', () => {
  it('take over from each other when one joins: nothing is sent twice, and no limit is exceeded', async () => {
    await flowThrough('joins', async () => senders.push(await world.another('sender')));
    expect(repetitions()).toEqual([]);
    expect(coursesOf('joins')).toEqual(regular);
    // Two for the milliseconds that a request takes to be made.
    expect(mostWithin(startsMs('limited', 'joins'), 1_000)).toBeLessThanOrEqual(RATE.per_second + RATE.burst + 2);
  });

  it('lose none and send none twice when one of them is asked to end', async () => {
    await flowThrough('leaves', async () => {
      const [first] = senders.splice(0, 1);
      expect(await first?.end('SIGTERM')).toBe(0);
    });
    expect(repetitions()).toEqual([]);
    expect(coursesOf('leaves')).toEqual(regular);
  });

  it('repeat nothing but what was in the window when one of them is killed', async () => {
    senders.push(await world.another('sender'));
    let killedMs = 0;
    await flowThrough('killed', async () => {
      killedMs = Date.now();
      await senders.shift()?.end('SIGKILL');
    });
    const repeated = repetitions();
    // A first attempt that is made again may be answered otherwise.
    const { '1 delivered, 1 retrying, 2 delivered': both = 0, ...courses } = coursesOf('killed');
    expect(Object.keys(courses).toSorted()).toEqual(Object.keys(regular));
    expect(both).toBeLessThanOrEqual(repeated.length);
    process.stdout.write(`    killed: ${repeated.length} requests of ${ledger.entries.length} repeated\n`);
    expect(repeated.filter(({ firstMs, publishedMs }) => killedMs - firstMs > WINDOW_MS || publishedMs > killedMs)).toEqual([]);
  });
});
