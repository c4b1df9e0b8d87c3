import { describe, expect, it } from '@jest/globals';
import { eventually } from './eventually.js';

describe('eventually', () => {
  it('asks until the answer is truthy, whatever the condition throws before', async () => {
    const answers = [0, new Error('not yet'), 'here'];
    const ask = () => {
      const answer = answers.shift();
      if (answer instanceof Error) throw answer;
      return answer;
    };
    await expect(eventually(ask, { everyMs: 1 })).resolves.toBe('here');
  });

  it('ends with what was waited for, and the last error as its cause', async () => {
    const cause = new Error('no connection');
    const waiting = eventually(() => Promise.reject(cause), { timeoutMs: 5, everyMs: 1, describe: () => 'the broker' });
    await expect(waiting).rejects.toMatchObject({ message: 'not within 5 ms: the broker', cause });
  });
});
