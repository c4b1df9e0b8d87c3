import { describe, expect, it } from '@jest/globals';
import { KafkaError } from './errors.js';
import { whenSettled } from './settling.js';

const notYet = (): Error => Object.assign(new Error('this server does not host this topic-partition'), { type: 'UNKNOWN_TOPIC_OR_PARTITION' });

describe('what a broker does not know yet', () => {
  it('is asked again until it is there', async () => {
    const answers = [notYet(), new KafkaError('unavailable', 'wrapped', { cause: notYet() })];
    const asked: unknown[] = [];
    const answer = await whenSettled(
      async () => {
        const error = answers.shift();
        if (error) throw error;
        return 'there';
      },
      { between: async (error) => void asked.push(error) },
    );
    expect(answer).toBe('there');
    expect(asked).toHaveLength(2);
  });

  it('is believed not to exist after a while', async () => {
    await expect(whenSettled(() => Promise.reject(notYet()), { withinMs: 0 })).rejects.toThrow('does not host');
  });

  it('is not taken for another failure, which is told at once', async () => {
    let times = 0;
    const ask = async (): Promise<never> => {
      times++;
      throw new Error('no broker answers');
    };
    await expect(whenSettled(ask)).rejects.toThrow('no broker answers');
    expect(times).toBe(1);
  });
});
