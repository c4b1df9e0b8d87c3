import { afterEach, describe, expect, it } from '@jest/globals';
import type { FollowedRecord } from '@posthorn/kafka';
import { Problem, type Caller } from '@posthorn/service-kit';
import { outcomeOf } from '../spec-support/tailed.js';
import type { Source } from './reading.js';
import { Tail, type TailOptions } from './tail.js';
import type { Tidings, Watch, Wanted } from './watch.js';

type Reader = Parameters<Source['follow']>[0] & { readonly positions: Map<number, number>; isClosed: boolean };

/** `deliveries.attempted`, of two partitions. Nobody is handed anything before the test says so. */
class FakeTopic implements Source {
  readonly logs: Buffer[][] = [[], []];
  readonly firsts = [0, 0];
  readonly readers: Reader[] = [];
  isAway = false;

  /** A record with outcomes of these events. */
  append(partition: number, ...events: readonly string[]): void {
    this.logs[partition]?.push(Buffer.from(JSON.stringify({ outcomes: events.map((event_id) => outcomeOf({ event_id })) })));
  }

  extents: Source['extents'] = async () => {
    if (this.isAway) throw new Error('no broker answers');
    return new Map(this.logs.map((log, partition) => [partition, { first: this.firsts[partition] ?? 0, end: log.length }]));
  };

  follow: Source['follow'] = async (options) => {
    if (this.isAway) throw new Error('no broker answers');
    const reader: Reader = { ...options, positions: new Map(options.from), isClosed: false };
    this.readers.push(reader);
    return { close: async () => void (reader.isClosed = true) };
  };

  get open(): readonly Reader[] {
    return this.readers.filter(({ isClosed }) => !isClosed);
  }

  /** Hands everything there is to those who read, each as far as it lets itself be handed. */
  async flow(readers = this.open): Promise<void> {
    for (const reader of readers) {
      for (const [partition, log] of this.logs.entries()) {
        while (!reader.isClosed && (reader.positions.get(partition) ?? 0) < log.length) {
          await reader.whenReady?.();
          if (reader.isClosed) break;
          const offset = reader.positions.get(partition) ?? 0;
          reader.positions.set(partition, offset + 1);
          reader.onRecord({ partition, offset: String(offset), value: log[offset] ?? null, key: null, headers: {}, timestampMs: 0 } satisfies FollowedRecord);
          await Promise.resolve();
        }
      }
    }
  }
}

const acme: Wanted = { tenant: 'acme' };
const callerOf = (actor: string, tenant?: string): Caller => ({ actor, tenant, scopes: new Set() });

let ends: (() => void)[] = [];
afterEach(() => {
  for (const end of ends) end();
  ends = [];
});

const tailing = (more: Partial<TailOptions> = {}) => {
  const topic = new FakeTopic();
  const stopping = new AbortController();
  let watchers = 0;
  ends.push(() => stopping.abort());
  const tail = new Tail({
    source: topic,
    limits: { watchers: 3, perKey: 2 },
    metrics: { watchers: (count) => (watchers = count), missed: () => undefined },
    log: { warn: () => undefined },
    stopping: stopping.signal,
    ...more,
  });
  const open = async (after?: string, { wanted = acme, actor = 'key_1', tenant = 'acme', signal = new AbortController().signal } = {}): Promise<Watcher> =>
    new Watcher(await tail.open(wanted, { caller: callerOf(actor, tenant), after, signal }));
  return { topic, open, stop: () => stopping.abort(), watchers: () => watchers };
};

/** Reads a watch to the end, and remembers. */
class Watcher {
  readonly events: string[] = [];
  readonly places: string[] = [];
  readonly missed: string[] = [];
  readonly ended: Promise<unknown>;

  constructor(readonly watch: Watch) {
    this.ended = this.#read(watch.tidings()).then(
      () => undefined,
      (error: unknown) => error,
    );
  }

  async #read(told: AsyncIterable<readonly Tidings[]>): Promise<void> {
    for await (const tidings of told) {
      for (const each of tidings) {
        if (each.kind === 'missed') this.missed.push(each.missed.reason);
        else this.places.push(each.place);
        if (each.kind === 'news') this.events.push(each.news.told.view.event_id);
      }
    }
  }
}

const refusal = (opening: Promise<unknown>): Promise<unknown> =>
  opening.then(
    () => undefined,
    (error: unknown) => (error instanceof Problem ? [error.code, error.headers['retry-after']] : error),
  );

const settled = async (): Promise<void> => {
  for (let turn = 0; turn < 50; turn += 1) await Promise.resolve();
  await new Promise((resolve) => void setImmediate(resolve));
};

describe('a tail', () => {
  it('is read from Kafka only while somebody watches, from the end, and once for all', async () => {
    const { topic, open, watchers } = tailing();
    topic.append(0, 'before');
    const [one, other] = [await open(), await open()];
    expect([topic.open.length, watchers()]).toEqual([1, 2]);
    topic.append(0, 'e1', 'e2');
    await topic.flow();
    await settled();
    expect([one.events, other.events]).toEqual([['e1', 'e2'], ['e1', 'e2']]);
    one.watch.close();
    await settled();
    expect([topic.open.length, watchers()]).toEqual([1, 1]);
    other.watch.close();
    await settled();
    expect([topic.open.length, watchers()]).toEqual([0, 0]);
    topic.append(0, 'unseen');
    const later = await open();
    topic.append(0, 'e3');
    await topic.flow();
    await settled();
    expect(later.events).toEqual(['e3']);
  });

  it('tells a tenant nothing of another', async () => {
    const { topic, open } = tailing();
    const theirs = await open(undefined, { wanted: { tenant: 'other' }, tenant: 'other' });
    topic.append(0, 'e1');
    await topic.flow();
    await settled();
    expect(theirs.events).toEqual([]);
  });

  it('goes on from every place that it told, with what came after it and nothing else', async () => {
    const { topic, open } = tailing({ limits: { watchers: 100, perKey: 100 } });
    const whole = await open();
    topic.append(0, 'a1', 'a2', 'a3');
    topic.append(1, 'b1', 'b2');
    topic.append(0, 'a4');
    await topic.flow();
    await settled();
    expect(whole.events).toEqual(['a1', 'a2', 'a3', 'a4', 'b1', 'b2']);
    for (const [told, place] of whole.places.entries()) {
      const resumed = await open(place);
      await topic.flow();
      await settled();
      expect([place, resumed.events.toSorted()]).toEqual([place, whole.events.slice(told).toSorted()]);
    }
    expect(topic.open).toHaveLength(1);
  });

  it('is read on by all together once who was away has caught up', async () => {
    const { topic, open } = tailing();
    const one = await open();
    await settled();
    const [place] = one.places;
    topic.append(0, 'e1');
    await topic.flow();
    const resumed = await open(place);
    expect(topic.open).toHaveLength(2);
    topic.append(0, 'e2');
    await topic.flow(topic.open.toReversed());
    await settled();
    expect(topic.open).toHaveLength(1);
    topic.append(0, 'e3');
    await topic.flow();
    await settled();
    expect([one.events, resumed.events]).toEqual([['e1', 'e2', 'e3'], ['e1', 'e2', 'e3']]);
  });

  it('says where Kafka no longer has what came after the place', async () => {
    const { topic, open } = tailing();
    for (const event of ['e1', 'e2', 'e3']) topic.append(0, event);
    topic.firsts[0] = 2;
    const resumed = await open('1.0');
    await topic.flow();
    await settled();
    expect([resumed.missed, resumed.events]).toEqual([['expired'], ['e3']]);
  });

  it('reads only so much once more, says so, and goes on with what happens now', async () => {
    const { topic, open } = tailing({ catchUpLimits: { bytes: 1_500, ms: 60_000 } });
    for (let n = 0; n < 10; n += 1) topic.append(0, `e${n}`);
    const resumed = await open('0.0');
    await topic.flow();
    await settled();
    expect([resumed.missed, resumed.events.length < 5, topic.open.length]).toEqual([['too_far'], true, 1]);
    topic.append(0, 'now');
    await topic.flow();
    await settled();
    expect(resumed.events.at(-1)).toBe('now');
  });

  it('that nobody watches any more is not caught up with', async () => {
    const { topic, open } = tailing();
    topic.append(0, 'e1');
    const away = new AbortController();
    const resumed = await open('0.0', { signal: away.signal });
    await settled();
    expect(topic.open).toHaveLength(2);
    away.abort(new Error('gone'));
    await settled();
    expect([topic.open.length, await resumed.ended]).toEqual([0, new Error('gone')]);
  });

  it('lets so many catch up at a time, and the others in their turn', async () => {
    const { topic, open } = tailing({ limits: { watchers: 100, perKey: 100 } });
    topic.append(0, 'e1');
    const resumed: Watcher[] = [];
    for (let n = 0; n < 9; n += 1) resumed.push(await open('0.0'));
    await settled();
    expect(topic.open).toHaveLength(1 + 4);
    resumed[8]?.watch.close();
    for (let round = 0; round < 4; round += 1) {
      await topic.flow();
      await settled();
    }
    expect(resumed.map(({ events }) => events.length)).toEqual([1, 1, 1, 1, 1, 1, 1, 1, 0]);
    expect(topic.open).toHaveLength(1);
  });

  it('is opened by a key so often, and so often in all', async () => {
    const { open, watchers } = tailing();
    const first = await open();
    await open();
    expect(await refusal(open())).toEqual(['rate_limited', '5']);
    // Portal tokens of one key, for two tenants.
    await open(undefined, { actor: 'portal:key_2', tenant: 'other' });
    expect(await refusal(open(undefined, { actor: 'portal:key_2' }))).toEqual(['rate_limited', '5']);
    first.watch.close();
    await settled();
    expect(await refusal(open(undefined, { actor: 'portal:key_2' }))).toBeUndefined();
    expect(watchers()).toBe(3);
  });

  it('is refused while Kafka is away, and counts for nobody', async () => {
    const { topic, open, watchers } = tailing();
    topic.isAway = true;
    for (let n = 0; n < 5; n += 1) await expect(open()).rejects.toThrow('no broker answers');
    topic.isAway = false;
    await open();
    expect(watchers()).toBe(1);
    topic.append(0, 'e1');
    topic.isAway = true;
    await expect(open('0.0')).rejects.toThrow('no broker answers');
    expect(watchers()).toBe(1);
  });

  it('is not opened at what is no place', async () => {
    const { open, watchers } = tailing();
    await expect(open('yesterday!')).rejects.toMatchObject({ code: 'malformed' });
    expect(watchers()).toBe(0);
  });

  it('ends when the process wants to, and says so', async () => {
    const { open, stop } = tailing();
    const one = await open();
    stop();
    expect(await one.ended).toMatchObject({ code: 'unavailable' });
    await expect(open()).rejects.toMatchObject({ code: 'unavailable' });
  });
});
