import { describe, expect, it } from '@jest/globals';
import { DuplicateLedger, MOST_IDS, type Telling } from './ledger.js';

const START = Date.parse('2026-11-21T10:00:00.000Z');
const DAY_MS = 86_400_000;

const ledgerOf = () => {
  const dropped: number[] = [];
  let writers = 0;
  const ledger = new DuplicateLedger({ newWriter: () => `w${(writers += 1)}`, onDropped: (ids) => void dropped.push(ids) });
  return { ledger, dropped };
};

/** What a reader makes of tellings: the greatest of each writer, and their sum. */
const countOf = (tellings: readonly Telling[], id: string): number => {
  const greatest = new Map<string, number>();
  for (const { writer, duplicates } of tellings) {
    for (const { event_id, count } of duplicates) if (event_id === id) greatest.set(writer, Math.max(greatest.get(writer) ?? 0, count));
  }
  return [...greatest.values()].reduce((sum, count) => sum + count, 0);
};

describe('the ledger of duplicates', () => {
  it('tells of each id once, however often it came, and again only when it came again', () => {
    const { ledger } = ledgerOf();
    for (let i = 0; i < 1_000; i += 1) ledger.note('acme', 'e1', START + i);
    ledger.note('other', 'e1', START);
    expect(ledger.take().map(({ duplicates }) => duplicates)).toEqual([
      [
        { tenant: 'acme', event_id: 'e1', count: 1_000, first_at: '2026-11-21T10:00:00.000Z', last_at: '2026-11-21T10:00:00.999Z' },
        { tenant: 'other', event_id: 'e1', count: 1, first_at: '2026-11-21T10:00:00.000Z', last_at: '2026-11-21T10:00:00.000Z' },
      ],
    ]);
    expect([ledger.hasToTell, ledger.take()]).toEqual([false, []]);
    ledger.note('acme', 'e1', START + 5_000);
    expect(ledger.take()).toMatchObject([{ duplicates: [{ tenant: 'acme', count: 1_001, first_at: '2026-11-21T10:00:00.000Z' }] }]);
  });

  it('begins anew, under another name, on another day and when it is full, and loses no count', () => {
    const { ledger, dropped } = ledgerOf();
    const told: Telling[] = [];
    ledger.note('acme', 'e1', START);
    told.push(...ledger.take());
    ledger.note('acme', 'e1', START + 1);
    ledger.note('acme', 'e1', START + DAY_MS);
    for (let i = 0; i < MOST_IDS; i += 1) ledger.note('acme', `of many ${i}`, START + DAY_MS);
    ledger.note('acme', 'e1', START + DAY_MS);
    told.push(...ledger.take());
    expect(countOf(told, 'e1')).toBe(4);
    expect(new Set(told.map(({ writer }) => writer)).size).toBeGreaterThan(2);
    expect(countOf(told, `of many ${MOST_IDS - 1}`)).toBe(1);
    expect(dropped).toEqual([]);
  });

  it('tells later what could not be written, without counting it twice', () => {
    const { ledger } = ledgerOf();
    ledger.note('acme', 'e1', START);
    const lost = ledger.take();
    ledger.putBack(lost);
    expect(ledger.hasToTell).toBe(true);
    ledger.note('acme', 'e1', START);
    expect(countOf([...lost, ...ledger.take()], 'e1')).toBe(2);
  });

  it('keeps no more than it has room for while nothing can be written, and says how much it forgot', () => {
    const { ledger, dropped } = ledgerOf();
    for (let i = 0; i < 3 * MOST_IDS + 1; i += 1) ledger.note('acme', `e${i}`, START);
    const told = ledger.take();
    expect(told.reduce((ids, { duplicates }) => ids + duplicates.length, 0)).toBe(2 * MOST_IDS + 1);
    expect(dropped).toEqual([MOST_IDS]);
  });
});
