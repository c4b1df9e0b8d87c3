import { describe, expect, it } from '@jest/globals';
import { turn } from '../spec-support/records.js';
import { Allowance } from './allowance.js';

/** Who has got what was asked for. */
const asking = async (allowance: Allowance, ...asked: readonly number[]): Promise<number[]> => {
  const got: number[] = [];
  for (const bytes of asked) {
    const waiting = allowance.take(bytes);
    if (waiting === undefined) got.push(bytes);
    else void waiting.then(() => got.push(bytes));
  }
  await turn();
  return got;
};

describe('an allowance of bytes', () => {
  it('is given out until nothing is left of it, and again as it comes back, in the order of asking', async () => {
    const allowance = new Allowance(10);
    const got = await asking(allowance, 4, 6, 5, 1);
    expect(got).toEqual([4, 6]);
    allowance.giveBack(4);
    await turn();
    expect(got).toEqual([4, 6]);
    allowance.giveBack(6);
    await turn();
    expect(got).toEqual([4, 6, 5, 1]);
  });

  it('is had whole by what is larger than that, when nobody else has any', async () => {
    const allowance = new Allowance(10);
    const got = await asking(allowance, 1, 11, 1);
    expect(got).toEqual([1]);
    allowance.giveBack(1);
    await turn();
    expect(got).toEqual([1, 11]);
  });
});
