import { describe, expect, it } from '@jest/globals';
import type { FetchedMessage } from './kafkajs-internals.js';
import { committedOf } from './transactions.js';

/** Records as `producer` or `producer!` for the end of its transaction; without one, outside any. Offsets count from `first`. */
const log = (written: string, first = 0): readonly FetchedMessage[] =>
  written.split(' ').map((by, n) => ({
    offset: String(first + n),
    timestamp: '0',
    key: Buffer.from([0, 0, 0, 0]),
    value: Buffer.from(by),
    headers: {},
    isControlRecord: by.endsWith('!'),
    batchContext: { producerId: by.replace('!', ''), inTransaction: by !== '-' },
  }));

const aborted = (...transactions: readonly (readonly [producerId: string, first: number])[]) =>
  transactions.map(([producerId, first]) => ({ producerId, firstOffset: String(first) }));

const offsetsOf = (messages: readonly FetchedMessage[]): string => messages.map(({ offset }) => offset).join(' ');

describe('of an answer with transactions', () => {
  it('counts what is in none, and what was committed', () => {
    expect(offsetsOf(committedOf(log('- a - a! -'), null))).toBe('0 1 2 4');
    expect(offsetsOf(committedOf(log('- a b a! - b!'), aborted(['b', 2])))).toBe('0 1 4');
  });

  it('counts nothing of an aborted one, whatever its keys', () => {
    expect(offsetsOf(committedOf(log('a a - a a! a a!'), aborted(['a', 0])))).toBe('2 5');
  });

  it('counts nothing of one that ended after another that it began before', () => {
    expect(offsetsOf(committedOf(log('a a b b b! a - a!'), aborted(['b', 2], ['a', 0])))).toBe('6');
  });

  it('counts nothing of several of which only the rest was fetched', () => {
    expect(offsetsOf(committedOf(log('a b b! a! -', 10), aborted(['b', 3], ['a', 2])))).toBe('14');
  });

  it('counts what a producer commits after it has aborted', () => {
    expect(offsetsOf(committedOf(log('a a! a a! a a!'), aborted(['a', 0], ['a', 4])))).toBe('2');
  });
});
