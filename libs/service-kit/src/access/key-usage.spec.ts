import type { KeyUsed } from '@posthorn/contracts';
import { describe, expect, it } from '@jest/globals';
import { KeyUsage } from './key-usage.js';

const START = Date.parse('2026-01-02T03:04:05.000Z');

const given = (send: (used: KeyUsed) => Promise<void> = async () => undefined) => {
  const told: KeyUsed[] = [];
  const logged: string[] = [];
  const clock = { ms: START };
  const usage = new KeyUsage({
    service: 'delivery-audit',
    send: (used) => {
      told.push(used);
      return send(used);
    },
    log: { debug: (_fields, text) => void logged.push(text) },
    now: () => clock.ms,
  });
  return { usage, told, logged, clock };
};

describe('the use of a key', () => {
  it('is told with the service and the time, once a minute', () => {
    const { usage, told, clock } = given();
    usage.used('key_a');
    clock.ms += 59_999;
    usage.used('key_a');
    expect(told).toEqual([{ key_id: 'key_a', service: 'delivery-audit', at: '2026-01-02T03:04:05.000Z' }]);
    clock.ms += 1;
    usage.used('key_a');
    usage.used('key_a');
    expect(told.map(({ at }) => at)).toEqual(['2026-01-02T03:04:05.000Z', '2026-01-02T03:05:05.000Z']);
  });

  it('is told of each key by itself', () => {
    const { usage, told, clock } = given();
    usage.used('key_a');
    clock.ms += 30_000;
    usage.used('key_b');
    clock.ms += 30_000;
    usage.used('key_a');
    usage.used('key_b');
    expect(told.map(({ key_id }) => key_id)).toEqual(['key_a', 'key_b', 'key_a']);
  });

  it('troubles nobody when it cannot be told', async () => {
    const { usage, logged } = given(async () => {
      throw new Error('Kafka is away');
    });
    usage.used('key_a');
    await new Promise((resolve) => void setImmediate(resolve));
    expect(logged).toEqual(['could not note that a key was used']);
  });

  it('does not pile up while Kafka is away, and is told again after', async () => {
    const answers: (() => void)[] = [];
    const { usage, told } = given(() => new Promise((resolve) => void answers.push(resolve)));
    for (let n = 0; n < 1_500; n++) usage.used(`key_${n}`);
    expect(told).toHaveLength(1_000);
    for (const answer of answers) answer();
    await new Promise((resolve) => void setImmediate(resolve));
    usage.used('key_1499');
    expect(told.at(-1)?.key_id).toBe('key_1499');
  });
});
