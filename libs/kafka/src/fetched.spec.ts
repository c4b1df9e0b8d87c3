import { describe, expect, it } from '@jest/globals';
import { nextPosition, readableEnd } from './fetched.js';
import type { FetchedMessages } from './kafkajs-internals.js';

const messages = (offsets: readonly number[], nextOffset?: number): FetchedMessages =>
  Object.assign(
    offsets.map((offset) => ({ offset: String(offset), timestamp: '0', key: null, value: null, headers: {}, isControlRecord: false })),
    { nextOffset },
  );

describe('after an answer that was asked for from 10', () => {
  it.each([
    ['behind the last batch', messages([10, 11], 12), 12],
    ['behind a batch that lost its last records', messages([10, 11], 20), 20],
    ['behind a batch that lost the records from 10 on', messages([8, 9], 20), 20],
    ['behind an empty batch', messages([], 20), 20],
    ['where it was when nothing has come', messages([]), 10],
    ['behind the last record of an old format', messages([10, 11]), 12],
    ['one further when what an old format had there is gone', messages([8, 9]), 11],
    ['never further back', messages([8], 9), 10],
  ])('reading goes on %s', (_, fetched, expected) => {
    expect(nextPosition({ messages: fetched }, 10)).toBe(expected);
  });
});

it('the end is where the first open transaction begins, or of the log where the broker does not tell that', () => {
  expect(readableEnd({ lastStableOffset: '5', highWatermark: '9' })).toBe(5);
  expect(readableEnd({ lastStableOffset: '-1', highWatermark: '9' })).toBe(9);
});
