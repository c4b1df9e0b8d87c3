import { describe, expect, it } from '@jest/globals';
import { Breaker } from './breaker.js';

/**
 * A history in letters: `+` an attempt succeeds, `-` one fails, each begun a millisecond before; a number lets so many seconds pass. What has
 * changed stands in the answer, in the order in which it did.
 */
const after = (history: string, { random = 0.5, breaker = new Breaker(), fromMs = 100_000 } = {}) => {
  const changes: string[] = [];
  let nowMs = fromMs;
  for (const [, sign, seconds] of history.matchAll(/([+-])|(\d+)/g)) {
    nowMs += seconds === undefined ? 1 : Number(seconds) * 1_000;
    if (breaker.reopens(nowMs)) changes.push('half_open');
    if (sign === '+' && breaker.succeeded(nowMs - 1, nowMs)) changes.push('closed');
    if (sign === '-' && breaker.failed(nowMs - 1, nowMs, random)) changes.push('open');
  }
  return { breaker, changes: changes.join(' '), nowMs };
};

const TEN = '-'.repeat(10);

describe('a breaker', () => {
  it.each([
    ['nine failures in a row', '-'.repeat(9), ''],
    ['ten failures in a row', TEN, 'open'],
    ['nine failures, successes, nine failures', '-'.repeat(9) + '+'.repeat(20) + '-'.repeat(9), ''],
    ['half of nineteen', '-+'.repeat(9) + '-', ''],
    ['half of twenty', '+-'.repeat(10), 'open'],
    ['two of five', '+-+-+'.repeat(20), ''],
    ['half of what comes, but never twenty of it in thirty seconds', '+-4'.repeat(20), ''],
    ['half of twenty, half a minute after hundreds of successes', '+'.repeat(500) + '31' + '+-1'.repeat(10), 'open'],
    ['what failed before the success of half a minute ago', '-'.repeat(9) + '+31' + '+-'.repeat(9), ''],
    ['ten failures and a success within five seconds', `${TEN}4+`, 'open'],
    ['five seconds after it has opened', `${TEN}5`, 'open half_open'],
    ['one probe that succeeds', `${TEN}5+`, 'open half_open'],
    ['two probes that succeed', `${TEN}5++`, 'open half_open'],
    ['three probes that succeed', `${TEN}5+++`, 'open half_open closed'],
    ['a first probe that fails', `${TEN}5-`, 'open half_open open'],
    ['a second probe that fails', `${TEN}5+-`, 'open half_open open'],
    ['a probe that fails and ten seconds less one', `${TEN}5-9`, 'open half_open open'],
    ['a probe that fails and ten seconds', `${TEN}5-10`, 'open half_open open half_open'],
    ['nine failures after it has closed', `${TEN}5+++${'-'.repeat(9)}`, 'open half_open closed'],
    ['ten failures after it has closed, and five seconds', `${TEN}5+++${TEN}5`, 'open half_open closed open half_open'],
  ])('at %s', (_, history, changes) => {
    expect(after(history).changes).toBe(changes);
  });

  it('stays open twice as long each time, five minutes at most', () => {
    const { breaker, nowMs } = after(TEN);
    const spans: number[] = [];
    let atMs = nowMs;
    for (let n = 0; n < 9; n += 1) {
      spans.push(Math.round((breaker.reopensAtMs - atMs) / 1_000));
      atMs = breaker.reopensAtMs;
      breaker.reopens(atMs);
      breaker.failed(atMs, atMs, 0.5);
    }
    expect(spans).toEqual([5, 10, 20, 40, 80, 160, 300, 300, 300]);
  });

  it.each([
    [0, 4_000],
    [0.999_999, 6_000],
  ])('opens for a fifth less or more, as drawn: %d', (random, ms) => {
    const { breaker, nowMs } = after(TEN, { random });
    expect(breaker.reopensAtMs - nowMs).toBeCloseTo(ms, 0);
  });

  it('lets none go while it is open, then one, then two, then what there is', () => {
    const { breaker, nowMs } = after(TEN);
    const allowed = [breaker.allowed];
    breaker.reopens(nowMs + 5_000);
    allowed.push(breaker.allowed);
    for (let n = 0; n < 3; n += 1) {
      breaker.succeeded(nowMs + 5_000, nowMs + 5_001);
      allowed.push(breaker.allowed);
    }
    expect(allowed).toEqual([0, 1, 2, 1, Number.POSITIVE_INFINITY]);
  });

  it('does not judge a state by attempts that began before it', () => {
    const { breaker, nowMs } = after(`${TEN}5`);
    expect(breaker.failed(nowMs - 5_000, nowMs, 0.5)).toBe(false);
    for (let n = 0; n < 3; n += 1) expect(breaker.succeeded(nowMs - 5_000, nowMs)).toBe(false);
    expect(breaker.state).toBe('half_open');
    expect(breaker.failed(nowMs, nowMs + 1, 0.5)).toBe(true);
  });

  it('matters for half a minute after a failure, and when open until it could have closed', () => {
    expect(new Breaker().mattersUntilMs).toBe(Number.NEGATIVE_INFINITY);
    const { breaker, nowMs } = after('-');
    expect(breaker.mattersUntilMs).toBe(nowMs + 30_000);
    const open = after(TEN);
    expect(open.breaker.mattersUntilMs).toBe(open.nowMs + 35_000);
  });
});
