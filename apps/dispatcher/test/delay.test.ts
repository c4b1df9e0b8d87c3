import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals';
import { DELAY_SLOTS } from '@posthorn/contracts';
import { partitionFor } from '@posthorn/domain';
import { startReceiver, type Receiver } from '@posthorn/testkit';
import { World } from './world.js';

jest.setTimeout(120_000);

const RETRIES = 1_200;
/** Due from now on until then, through three tiers. */
const SPAN_MS = 12_000;
/** Before a kill, that what is given back twice can have been given back first: commits are half a second apart. */
const WINDOW_MS = 1_500;
const SPREAD = 4;
const PARTITIONS = 12;
const SLOT_MS = 400;

const subscriptionOf = (id: string): string => (Number(id.slice('retry-'.length)) % 2 === 0 ? 'sub_plain' : 'sub_spread');

let receiver: Receiver;
let world: World;

beforeAll(async () => {
  receiver = await startReceiver();
  world = await World.start('delay', 'delay', (world) => [
    world.subscription('sub_plain', { url: receiver.url }),
    world.subscription('sub_spread', { url: receiver.url, policy: { ...world.subscription('').policy, spread: SPREAD } }),
  ]);
});

afterAll(async () => {
  await world?.close();
  await receiver?.close();
});

describe('a reader of the wheel', () => {
  it('is killed and starts again: it gives back each retry, none before it is due, and again only what it gave back just before', async () => {
    const startMs = Date.now();
    const dueMs = new Map(Array.from({ length: RETRIES }, (_, n) => [`retry-${n}`, startMs + ((n * 7_919) % RETRIES) * (SPAN_MS / RETRIES)]));
    await Promise.all([...dueMs].map(([id, ms]) => world.publishRetry(id, subscriptionOf(id), ms)));
    await world.until(() => world.requests.length > RETRIES / 4, 'the first quarter');
    const killedMs = Date.now();
    await world.kill();
    const given = (): ReadonlySet<string> => new Set(world.requests.map(({ head }) => head.event.id));
    await world.until(() => given().size === RETRIES, () => `${RETRIES} retries; there are ${given().size}`);

    expect(world.requests.filter(({ head, writtenMs }) => writtenMs < Math.floor(dueMs.get(head.event.id) ?? Infinity))).toEqual([]);
    const misplaced = world.requests.filter(
      ({ head, partition }) => partition !== partitionFor(subscriptionOf(head.event.id), subscriptionOf(head.event.id) === 'sub_spread' ? SPREAD : 1, head.event.id, PARTITIONS),
    );
    expect(misplaced).toEqual([]);
    const twice = [...Map.groupBy(world.requests, ({ head }) => head.event.id).values()].filter(({ length }) => length > 1);
    expect(twice.filter(([first]) => killedMs - (first?.writtenMs ?? 0) > WINDOW_MS)).toEqual([]);
  });
});

describe('readers of the wheel', () => {
  /** Of their own: whoever sends afterwards would have much to do. */
  let shared: World;

  beforeAll(async () => {
    shared = await World.start('delay-shared', 'delay', (of) => [of.subscription('sub_plain')]);
  });

  afterAll(() => shared?.close());

  it('take over from each other when one joins and when it is asked to end: each retry is given back once', async () => {
    let published = 0;
    const publishing: Promise<void>[] = [];
    // Overdue, each by another slot: some of every partition is on its way at any moment.
    const timer = setInterval(() => {
      for (const end = published + 6; published < end; published += 1) {
        publishing.push(shared.publishRetry(`passed-on-${published}`, 'sub_plain', Date.now() - (published % DELAY_SLOTS) * SLOT_MS));
      }
    }, 4);
    const givenBack = (): readonly string[] => shared.requests.map(({ head }) => head.event.id);
    const goesOn = async (): Promise<void> => {
      const before = givenBack().length;
      await shared.until(() => givenBack().length > before + 500 || undefined, 'more to be given back');
    };
    try {
      await goesOn();
      for (let times = 0; times < 3; times += 1) {
        const second = await shared.another('delay');
        await goesOn();
        expect(await second.end('SIGTERM')).toBe(0);
        await goesOn();
      }
    } finally {
      clearInterval(timer);
    }
    await Promise.all(publishing);
    await shared.until(() => new Set(givenBack()).size === published, () => `${published} retries; there are ${new Set(givenBack()).size}`);
    expect(givenBack()).toHaveLength(published);
  });
});

describe('a retry that is due', () => {
  it('is cancelled when its subscription was disabled or deleted while it waited', async () => {
    await world.another('sender');
    await world.publishState({ ...world.subscription('sub_disabled', { url: receiver.url }), enabled: false });
    const dueMs = Date.now() + 1_000;
    for (const subscription of ['sub_disabled', 'sub_gone', 'sub_plain']) await world.publishRetry('late', subscription, dueMs);
    const outcomes = (): readonly unknown[] =>
      world.outcomes.filter(({ event_id }) => event_id === 'late').map(({ subscription_id, status, number, reason }) => [subscription_id, status, number, reason]);
    await world.until(() => outcomes().length === 3, () => JSON.stringify(outcomes()));
    expect(outcomes().toSorted()).toEqual([
      ['sub_disabled', 'cancelled', 2, 'the subscription is disabled'],
      ['sub_gone', 'cancelled', 2, 'the subscription was deleted'],
      ['sub_plain', 'delivered', 2, undefined],
    ]);
    const late = world.outcomes.filter(({ event_id }) => event_id === 'late');
    expect(late.filter(({ at }) => Date.parse(at) < dueMs)).toEqual([]);
  });
});
