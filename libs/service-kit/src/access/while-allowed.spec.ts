import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { whileAllowed } from './while-allowed.js';

beforeEach(() => void jest.useFakeTimers());
afterEach(() => void jest.useRealTimers());

const refusal = new Error('revoked');

describe('whether a caller still may', () => {
  it('is asked every second, and the refusal told once', async () => {
    const refused: unknown[] = [];
    let asked = 0;
    whileAllowed(
      async () => {
        asked += 1;
        if (asked === 3) throw refusal;
      },
      (told) => refused.push(told),
    );
    await jest.advanceTimersByTimeAsync(2_999);
    expect([asked, refused]).toEqual([2, []]);
    await jest.advanceTimersByTimeAsync(10_000);
    expect([asked, refused]).toEqual([3, [refusal]]);
  });

  it('is asked no more once the answer is over, and then nothing is told', async () => {
    const refused: unknown[] = [];
    let refuse: ((error: Error) => void) | undefined;
    let asked = 0;
    const end = whileAllowed(
      () => {
        asked += 1;
        return new Promise((_, reject) => void (refuse = reject));
      },
      (told) => refused.push(told),
    );
    // One answer that is late keeps the next question back.
    await jest.advanceTimersByTimeAsync(5_000);
    expect(asked).toBe(1);
    end();
    refuse?.(refusal);
    await jest.advanceTimersByTimeAsync(5_000);
    expect([asked, refused]).toEqual([1, []]);
  });
});
