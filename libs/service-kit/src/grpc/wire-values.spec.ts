import { describe, expect, it } from '@jest/globals';
import { Ordering } from '@posthorn/contracts/grpc/registry';
import { durationOf, given, jsonOf, present, timeOf, toDuration, toTime, words } from './wire-values.js';

describe('a duration', () => {
  it.each([
    ['15s', { seconds: 15, nanos: 0 }],
    ['120h', { seconds: 432_000, nanos: 0 }],
    ['1500ms', { seconds: 1, nanos: 500_000_000 }],
    ['0s', { seconds: 0, nanos: 0 }],
  ])('%s goes there and comes back', (text, duration) => {
    expect(toDuration(text)).toEqual(duration);
    expect(durationOf(duration)).toBe(text);
  });

  it.each([
    ['negative', { seconds: -1, nanos: 0 }],
    ['finer than milliseconds', { seconds: 0, nanos: 1 }],
  ])('that is %s becomes a text that every schema refuses', (_what, duration) => {
    expect(durationOf(duration)).not.toMatch(/^\d+(?:ms|s|m|h|d)$/);
  });
});

describe('a time', () => {
  it('goes there and comes back', () => {
    expect(timeOf(toTime('2026-11-21T10:00:00.123Z'))).toBe('2026-11-21T10:00:00.123Z');
    expect(timeOf(toTime(undefined))).toBeUndefined();
  });

  it('that no date can hold becomes a text that every schema refuses', () => {
    expect(timeOf(new Date(Number.NaN))).toBe('out of range');
  });
});

describe('the words of an enum', () => {
  const orderings = words(Ordering, Ordering.ORDERING_UNSPECIFIED);

  it('are those of REST', () => {
    expect(orderings.of(Ordering.ORDERING_BY_KEY)).toBe('by_key');
    expect(orderings.to('by_key')).toBe(Ordering.ORDERING_BY_KEY);
  });

  it('are none for what is not given', () => {
    expect(orderings.of(Ordering.ORDERING_UNSPECIFIED)).toBeUndefined();
    expect(orderings.to(undefined)).toBe(Ordering.ORDERING_UNSPECIFIED);
  });

  it('are told apart from a number that we do not know', () => {
    expect(orderings.of(Ordering.UNRECOGNIZED)).toBe('unrecognized');
  });
});

describe('a JSON value', () => {
  it('is handed on as it is', () => {
    const value = { a: [1, null, { b: 'x' }] };
    expect(jsonOf(value, 'schema')).toBe(value);
    expect(jsonOf(undefined, 'schema')).toBeUndefined();
  });

  it('with a number that JSON does not have is refused at its path', () => {
    expect(() => jsonOf({ a: [0, Number.NaN] }, 'example')).toThrow('example.a[1]: JSON has no such number');
    expect(() => jsonOf(Number.POSITIVE_INFINITY, 'example')).toThrow('example: ');
  });
});

it('an empty scalar was not given, false and null were', () => {
  expect(present({ a: given(''), b: given(0), c: given('x'), d: false, e: null })).toEqual({ c: 'x', d: false, e: null });
});
