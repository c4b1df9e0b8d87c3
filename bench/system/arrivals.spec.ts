import { describe, expect, it } from '@jest/globals';
import { Arrivals } from './arrivals.ts';

describe('arrivals', () => {
  it('count an event once for each subscription, whatever else comes of it', () => {
    const arrivals = new Arrivals();
    for (const [subscription, sequence] of [[1, 0], [2, 0], [1, 0], [1, 7], [1, 0]] as const) arrivals.add(subscription, sequence, 0, 10);
    expect([arrivals.requests, arrivals.deliveries, arrivals.subscriptions]).toEqual([5, 3, 2]);
  });

  it('keep the time of the first of each delivery, since it was due, and when it came', () => {
    const arrivals = new Arrivals();
    arrivals.add(1, 0, 1_000, 5_000);
    arrivals.add(1, 0, 1_000, 95_000);
    arrivals.add(1, 1, 2_000, 8_000);
    expect([[...arrivals.latencyMicros], [...arrivals.atMillis]]).toEqual([
      [4_000, 6_000],
      [0, 3],
    ]);
  });

  it('have room for as many as come', () => {
    const arrivals = new Arrivals();
    for (let n = 0; n < 20_000; n += 1) arrivals.add(n % 3, n, 0, n);
    for (let n = 0; n < 20_000; n += 1) arrivals.add(n % 3, n, 0, n);
    expect([arrivals.requests, arrivals.deliveries, arrivals.latencyMicros.length, arrivals.latencyMicros[19_999]]).toEqual([40_000, 20_000, 20_000, 19_999]);
  });
});
