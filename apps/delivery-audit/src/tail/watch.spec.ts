import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { newsOf } from './news.js';
import { Stand } from './stand.js';
import { outcomeOf, postponementOf } from '../spec-support/tailed.js';
import { TakenRecord, Watch, type Tidings, type WatchOptions } from './watch.js';

beforeEach(() => void jest.useFakeTimers());
afterEach(() => void jest.useRealTimers());

const news = newsOf(
  Buffer.from(
    JSON.stringify({
      outcomes: [
        outcomeOf({ event_id: 'e1' }),
        outcomeOf({ event_id: 'e2', tenant: 'other' }),
        outcomeOf({ event_id: 'e3', subscription_id: 'sub_2', status: 'delivered' }),
      ],
      postponed: [postponementOf({ event_id: 'e4' })],
    }),
  ),
);
const positions = new Map([[0, 4], [1, 35]]);
const record = (offset = 4): TakenRecord => new TakenRecord(0, offset, news, positions);

const watching = (more: Partial<WatchOptions> = {}) => {
  let missed = 0;
  const watch = new Watch({ wanted: { tenant: 'acme' }, positions, maxBytes: 100_000, quietMs: 15_000, onMissed: () => void (missed += 1), ...more });
  return { watch, told: watch.tidings(), missed: () => missed };
};

const said = (tidings: readonly Tidings[] | undefined) =>
  tidings?.map((each) => (each.kind === 'missed' ? each.missed : [each.kind === 'news' ? each.news.told.view.event_id : each.kind, each.place]));

/** What comes next. */
const next = async (told: AsyncGenerator<readonly Tidings[]>) => {
  const { value } = (await told.next()) as { value: readonly Tidings[] | undefined }; // it returns nothing
  return said(value);
};

describe('a watch', () => {
  it('is told at first where it begins, then what its tenant has, and after each how far that is', async () => {
    const moving = new Map(positions);
    const { watch, told } = watching({ positions: moving });
    watch.offerShared(record());
    // What waits to be told comes after where it begins.
    moving.set(0, 5);
    expect(await next(told)).toEqual([['quiet', '4.z']]);
    expect(await next(told)).toEqual([
      ['e1', '4~1.z'],
      ['e3', '4~3.z'],
      ['e4', '5.z'],
    ]);
  });

  it.each([
    [{ subscription: 'sub_2' }, ['e3']],
    [{ status: 'failed' }, ['e1']],
    [{ status: 'pending' }, ['e4']],
    [{ subscription: 'sub_2', status: 'pending' }, []],
  ] as const)('is told what it wants: %j', async (wanted, ids) => {
    const { watch, told } = watching({ wanted: { tenant: 'acme', ...wanted } });
    await next(told);
    watch.offerShared(record());
    watch.miss({ reason: 'too_far' });
    expect(await next(told)).toEqual([...ids.map((id) => [id, expect.any(String)]), { reason: 'too_far' }]);
  });

  it('wakes when something comes, and says after a while that nothing does', async () => {
    const { watch, told } = watching();
    await next(told);
    const waiting = next(told);
    await jest.advanceTimersByTimeAsync(15_000);
    expect(await waiting).toEqual([['quiet', '4.z']]);
    const coming = next(told);
    await jest.advanceTimersByTimeAsync(14_999);
    watch.offerShared(record());
    expect(await coming).toHaveLength(3);
    expect(jest.getTimerCount()).toBe(0);
  });

  it('that is not read from holds so many bytes, and counts what it misses where it is missing', async () => {
    const one = (news[0]?.text.length ?? 0) + 200 + '4~1.z'.length;
    const { watch, told, missed } = watching({ wanted: { tenant: 'acme', status: 'failed' }, maxBytes: 2 * one + 10 });
    await next(told);
    for (let offset = 4; offset < 10; offset += 1) watch.offerShared(record(offset));
    expect(await next(told)).toEqual([['e1', '4~1.z'], ['e1', '5~1.z'], { reason: 'slow', count: 4 }]);
    watch.offerShared(record(10));
    expect(await next(told)).toEqual([['e1', 'a~1.z']]);
    expect(missed()).toBe(4);
  });

  it('is told what is read for it alone, however much that is, and its reading waits until it has taken it', async () => {
    const { watch, told } = watching({ maxBytes: 10, stand: new Stand(new Map([[0, { offset: 2, told: 0 }], [1, { offset: 35, told: 0 }]]), positions) });
    expect(await next(told)).toEqual([['quiet', '2.z']]);
    let hasRoom = false;
    watch.offerAlone(record(2));
    const room = watch.room().then(() => (hasRoom = true));
    await Promise.resolve();
    expect(hasRoom).toBe(false);
    expect(await next(told)).toEqual([['e1', '2~1.z'], ['e3', '2~3.z'], ['e4', '3.z']]);
    await room;
    // Not yet where the others are.
    watch.offerShared(record(4));
    watch.offerAlone(record(3));
    expect(await next(told)).toEqual([['e1', '3~1.z'], ['e3', '3~3.z'], ['e4', '4.z']]);
  });

  it('ends when it is closed, with what it was closed for, and holds up nobody', async () => {
    const { watch, told } = watching();
    await next(told);
    const waiting = told.next();
    watch.close(new Error('revoked'));
    await expect(waiting).rejects.toThrow('revoked');
    await watch.closed;
    watch.offerShared(record());
    await watch.room();
    expect(await told.next()).toMatchObject({ done: true });
    const { watch: other, told: unread } = watching();
    other.close();
    expect(await unread.next()).toMatchObject({ done: false });
    expect(await unread.next()).toMatchObject({ done: true });
  });
});
