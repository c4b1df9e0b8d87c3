import { setImmediate as turn } from 'node:timers/promises';
import type { Outcome } from '@posthorn/contracts';
import type { IncomingRecord } from '@posthorn/kafka';
import { beforeEach, describe, expect, it } from '@jest/globals';
import { AutomaticChanges, type Disabling } from './automatic-changes.js';
import type { Verdict } from './failure-table.js';
import type { Sign } from './signs.js';

const AT = '2026-11-21T12:00:00.000Z';

let offsets: number[];
let done: string[];
let asked: number;
let recorded: string[][];
let failingThere: string[];
let verdictOf: (subscription: string) => Partial<Verdict>;
let disabled: Disabling[];
let warned: object[];
let trouble: Error | undefined;
let changes: AutomaticChanges;

beforeEach(() => {
  offsets = [];
  done = [];
  asked = 0;
  recorded = [];
  failingThere = [];
  disabled = [];
  warned = [];
  trouble = undefined;
  verdictOf = () => ({});
  changes = new AutomaticChanges({
    table: {
      failing: async () => {
        asked += 1;
        return failingThere;
      },
      record: async (signs: ReadonlyMap<string, Sign>) => {
        if (trouble) throw trouble;
        recorded.push([...signs.keys()]);
        return [...signs].map(([subscription, { failing }]) => ({
          subscription,
          failing: failing !== undefined,
          reason: null,
          observed_at: null,
          ...verdictOf(subscription),
        }));
      },
    },
    disable: async (disabling) => void disabled.push(disabling),
    log: { warn: (fields) => void warned.push(fields), error: (fields) => void warned.push(fields) },
  });
});

const outcome = (subscription: string, status: Outcome['status']) => ({ subscription_id: subscription, status, at: AT, trigger: 'first', delivery_id: `dlv_of_${subscription}` });

const record = (outcomes: readonly object[] | string, place: { readonly partition?: number; readonly offset?: number } = {}): IncomingRecord => {
  const { partition = 0 } = place;
  const { offset = (offsets[partition] ?? -1) + 1 } = place;
  offsets[partition] = offset;
  return {
    topic: 'deliveries.attempted',
    partition,
    offset: String(offset),
    timestampMs: 0,
    key: null,
    value: Buffer.from(typeof outcomes === 'string' ? outcomes : JSON.stringify({ outcomes })),
    headers: { schema: Buffer.from('1') },
    revoked: false,
    done: () => void done.push(`${partition}/${offset}`),
  };
};

/** Until everything handed over is done. */
const given = async (...records: readonly IncomingRecord[]): Promise<void> => {
  const expected = done.length + records.length;
  for (const one of records) changes.add(one);
  for (let turns = 0; done.length < expected && turns < 1_000; turns++) await turn();
};

describe('while nothing fails', () => {
  it('asks the database once, and nothing after that', async () => {
    await given(record([outcome('a', 'delivered')]), record([outcome('b', 'delivered')]));
    for (let n = 0; n < 10; n++) await given(record([outcome('a', 'delivered')]));
    expect([asked, recorded, done.length]).toEqual([1, [], 12]);
  });

  it('does not even read what came', async () => {
    await given(record('{"outcomes": not JSON'));
    expect([warned, done]).toEqual([[], ['0/0']]);
  });

  it('does not read who waits for a rate, a breaker, a receiver or an order either', async () => {
    const waits = ['rate_limit', 'breaker', 'slow', 'ordered'].map((cause) => ({ subscription_id: 'a', at: AT, cause }));
    await given(record(`{"outcomes":[],"postponed":${JSON.stringify(waits)} not JSON`));
    expect([warned, done]).toEqual([[], ['0/0']]);
  });
});

describe('a failure', () => {
  it('is recorded, and the successes after it until one has counted', async () => {
    await given(record([outcome('a', 'delivered')]), record([outcome('a', 'retrying')]), record([outcome('b', 'delivered')]));
    await given(record([outcome('a', 'delivered'), outcome('b', 'delivered')]));
    await given(record([outcome('a', 'delivered')]));
    expect([recorded, asked]).toEqual([[['a'], ['a']], 1]);
  });

  it('is known of when this process begins to read', async () => {
    failingThere = ['a'];
    await given(record([outcome('a', 'delivered'), outcome('b', 'delivered')], { offset: 700 }));
    expect(recorded).toEqual([['a']]);
  });

  it('is asked for anew when somebody else has read in between', async () => {
    await given(record([outcome('a', 'delivered')]), record([outcome('b', 'delivered')], { partition: 1 }));
    failingThere = ['a'];
    await given(record([outcome('a', 'delivered')], { offset: 5 }));
    expect([asked, recorded]).toEqual([2, [['a']]]);
  });

  it('of more subscriptions than are remembered takes every outcome to the database', async () => {
    failingThere = Array.from({ length: 10_001 }, (_, n) => `sub_${n}`);
    await given(record([outcome('a', 'delivered')]));
    expect(recorded).toEqual([['a']]);
  });
});

describe('a verdict', () => {
  it('is carried out before the outcomes are done', async () => {
    verdictOf = (subscription) => (subscription === 'a' ? { reason: 'failing', observed_at: new Date(AT) } : {});
    await given(record([outcome('a', 'failed'), outcome('b', 'retrying')]));
    expect([disabled, done]).toEqual([[{ subscription: 'a', reason: 'failing', observedAt: AT, delivery: 'dlv_of_a' }], ['0/0']]);
  });

  it('is asked for again when the database was away', async () => {
    trouble = new Error('away');
    changes.add(record([outcome('a', 'failed')]));
    for (let turns = 0; changes.trouble === undefined && turns < 1_000; turns++) await turn();
    expect([changes.trouble, done, warned.length]).toEqual(['away', [], 1]);
    trouble = undefined;
    await given();
    while (done.length === 0) await turn();
    expect([recorded, changes.trouble]).toEqual([[['a']], undefined]);
  });
});

it('takes nothing from who waits, beside what has failed', async () => {
  const waits = [{ subscription_id: 'b', at: AT, cause: 'slow' }];
  await given(record(JSON.stringify({ outcomes: [outcome('a', 'failed')], postponed: waits })), record(JSON.stringify({ outcomes: [], postponed: waits })));
  expect([warned, recorded, done]).toEqual([[], [['a']], ['0/0', '0/1']]);
});

it('passes over what cannot be read, and says so', async () => {
  await given(record('failed'), record([outcome('a', 'failed')]));
  expect([warned.length, recorded, done]).toEqual([1, [['a']], ['0/0', '0/1']]);
});

it.each([
  ['null', 'null'],
  ['a time that is none', JSON.stringify({ ...outcome('b', 'failed'), at: '2026-02-30T12:00:00.000Z' })],
  ['a time out of the years', JSON.stringify({ ...outcome('b', 'failed'), attempt: { started_at: '9999-12-31T23:59:59.000-12:00' } })],
  ['an id that no text holds', JSON.stringify(outcome('b\0', 'failed'))],
])('passes over %s for an outcome, and goes on', async (_, text) => {
  await given(record(`{"outcomes":[${text},${JSON.stringify(outcome('c', 'failed'))}]}`), record([outcome('a', 'failed')]));
  expect([warned.length, recorded, done]).toEqual([1, [['a']], ['0/0', '0/1']]);
});
