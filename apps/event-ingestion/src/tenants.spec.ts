import { describe, expect, it } from '@jest/globals';
import { Tenants } from './tenants.js';

const record = (id: string, exists = true, kind = 'tenant', schema = '1') => ({
  key: Buffer.from(id),
  value: exists ? Buffer.from(JSON.stringify({ position: 1, version: 1, state: { kind: 'tenant', id, name: id } })) : null,
  headers: { schema: Buffer.from(schema), kind: Buffer.from(kind) },
});

/** A topic in which records appear when the test says so. */
const given = (pause: () => Promise<void> = () => Promise.resolve()) => {
  const unread: ReturnType<typeof record>[] = [];
  const log = { readings: 0, failures: 0 };
  const tenants: Tenants = new Tenants({
    pause,
    readToEnd: async () => {
      log.readings++;
      if (log.failures-- > 0) throw new Error('Kafka is away');
      const seen = unread.splice(0);
      await Promise.resolve();
      for (const one of seen) tenants.fold(one);
    },
  });
  return { tenants, unread, log };
};

describe('tenants', () => {
  it('exist from their state record to its deletion', async () => {
    const { tenants } = given();
    tenants.fold(record('acme'));
    expect(tenants.exists('acme')).toBe(true);
    tenants.fold(record('acme', false));
    expect(await tenants.exists('acme')).toBe(false);
  });

  it('are not subscriptions', async () => {
    const { tenants } = given();
    tenants.fold(record('sub_1', true, 'subscription'));
    expect(tenants.size).toBe(0);
  });

  it('are found when they were created a moment ago', async () => {
    const { tenants, unread } = given();
    unread.push(record('acme'));
    expect(await tenants.exists('acme')).toBe(true);
  });

  it('are looked up by a reading that began after the question', async () => {
    const { tenants, unread } = given();
    const early = tenants.exists('early');
    await Promise.resolve();
    unread.push(record('late'));
    expect(await tenants.exists('late')).toBe(true);
    expect(await early).toBe(false);
  });

  it('cost one reading, however many ask', async () => {
    const { tenants, log } = given();
    const answers = await Promise.all(Array.from({ length: 1000 }, (_, i) => tenants.exists(`unknown-${i}`)));
    expect(answers.every((answer) => !answer)).toBe(true);
    expect(log.readings).toBe(1);
  });

  it('let Kafka rest between two readings', async () => {
    const pauses: (() => void)[] = [];
    const { tenants, log } = given(() => new Promise((resolve) => void pauses.push(resolve)));
    await tenants.exists('first');
    const answers = [tenants.exists('second'), tenants.exists('third')];
    await new Promise((resolve) => void setImmediate(resolve));
    expect(log.readings).toBe(1);
    for (const end of pauses) end();
    expect(await Promise.all(answers)).toEqual([false, false]);
    expect(log.readings).toBe(2);
  });

  it('keep those who ask in order, also when the answer comes in between', async () => {
    const { tenants } = given();
    const order: number[] = [];
    const first = Promise.resolve(tenants.exists('acme')).then(() => order.push(1));
    tenants.fold(record('acme'));
    const second = Promise.resolve(tenants.exists('acme')).then(() => order.push(2));
    await Promise.all([first, second]);
    expect(order).toEqual([1, 2]);
    expect(tenants.exists('acme')).toBe(true);
  });

  it('can be asked for again after Kafka was away', async () => {
    const { tenants, unread, log } = given();
    log.failures = 1;
    await expect(tenants.exists('acme')).rejects.toThrow('Kafka is away');
    unread.push(record('acme'));
    expect(await tenants.exists('acme')).toBe(true);
  });

  it('refuse to guess what a newer version has written', () => {
    const { tenants } = given();
    expect(() => tenants.fold(record('acme', true, 'tenant', '2'))).toThrow('schema 2');
  });
});
