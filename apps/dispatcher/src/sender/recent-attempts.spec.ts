import { describe, expect, it } from '@jest/globals';
import { RecentAttempts } from './recent-attempts.js';

describe('the memory of recent attempts', () => {
  it('has the last ones, as many as its capacity at least, and forgets those long before', () => {
    const recent = new RecentAttempts(10);
    for (let n = 0; n < 1_000; n += 1) {
      recent.add(`a${n}`);
      for (let back = 0; back < Math.min(10, n + 1); back += 1) expect(recent.has(`a${n - back}`)).toBe(true);
      expect(recent.has(`a${n - 20}`)).toBe(false);
    }
  });
});
