import { describe, expect, it } from '@jest/globals';
import { KafkaError } from '@posthorn/kafka';
import { insisting, inTime } from './reading.js';

const silent = { warn: () => undefined };

describe('reading what registry.state holds', () => {
  it('goes on until it has been read, for those who can wait', async () => {
    let failures = 3;
    let warnings = 0;
    const read = async (): Promise<void> => {
      if (failures-- > 0) throw new KafkaError('unavailable', 'away');
    };
    await insisting(read, { warn: () => void warnings++ })(performance.now());
    expect(warnings).toBe(3);
  });

  it('ends when Kafka is closed', async () => {
    const closed = new KafkaError('closed', 'closing');
    await expect(insisting(() => Promise.reject(closed), silent)(performance.now())).rejects.toBe(closed);
  });

  it('fails in time, for those who wait for an answer', async () => {
    const nowMs = performance.now();
    await expect(inTime(() => new Promise(() => undefined), 10)(nowMs)).rejects.toMatchObject({ code: 'unavailable' });
    // What it has waited for before counts, too.
    await expect(inTime(() => new Promise(() => undefined), 10_000)(nowMs - 10_000)).rejects.toMatchObject({ code: 'unavailable' });
    const cause = new Error('not followed yet');
    await expect(inTime(() => Promise.reject(cause), 10_000)(nowMs)).rejects.toMatchObject({ code: 'unavailable', cause });
    await expect(inTime(async () => undefined, 10_000)(nowMs)).resolves.toBeUndefined();
  });
});
