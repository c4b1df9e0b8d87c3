import { describe, expect, it } from '@jest/globals';
import { Watchdog, type Pulse } from './watchdog.js';

const pulse = (change: Partial<Pulse> = {}): Pulse => ({ topic: 't', partition: 0, low: 5, completed: 0, busy: true, ...change });

describe('watchdog', () => {
  it('reports a partition with work after it has stood still for the time given', () => {
    const watchdog = new Watchdog(100);
    expect(watchdog.look([pulse()], 0)).toEqual([]);
    expect(watchdog.look([pulse()], 99)).toEqual([]);
    expect(watchdog.look([pulse()], 100)).toEqual([{ topic: 't', partition: 0, offset: '5', forMs: 100 }]);
    expect(watchdog.look([pulse()], 250)).toEqual([{ topic: 't', partition: 0, offset: '5', forMs: 250 }]);
  });

  it('takes a completion above the lowest offset, or the lowest offset moving, for progress', () => {
    const watchdog = new Watchdog(100);
    watchdog.look([pulse()], 0);
    expect(watchdog.look([pulse({ completed: 1 })], 100)).toEqual([]);
    expect(watchdog.look([pulse({ completed: 1, low: 6 })], 199)).toEqual([]);
    expect(watchdog.look([pulse({ completed: 1, low: 6 })], 298)).toEqual([]);
  });

  it('does not count the time without work', () => {
    const watchdog = new Watchdog(100);
    watchdog.look([pulse({ busy: false })], 0);
    watchdog.look([pulse({ busy: false })], 1_000);
    expect(watchdog.look([pulse()], 1_001)).toEqual([]);
    expect(watchdog.look([pulse()], 1_099)).toEqual([]);
    expect(watchdog.look([pulse()], 1_100)).toHaveLength(1);
  });

  it('forgets a partition that is gone, and names the longest stall first', () => {
    const watchdog = new Watchdog(100);
    watchdog.look([pulse()], 0);
    watchdog.look([], 50);
    watchdog.look([pulse({ partition: 1 })], 60);
    watchdog.look([pulse(), pulse({ partition: 1 })], 70);
    expect(watchdog.look([pulse(), pulse({ partition: 1 })], 200).map(({ partition }) => partition)).toEqual([1, 0]);
  });
});
