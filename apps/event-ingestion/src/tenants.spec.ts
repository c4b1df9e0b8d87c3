import { describe, expect, it } from '@jest/globals';
import { Tenants } from './tenants.js';

/** A registry in which tenants appear when the test says so. */
const given = () => {
  const unread: string[] = [];
  const log = { failures: 0 };
  const tenants: Tenants = new Tenants(async () => {
    if (log.failures-- > 0) throw new Error('Kafka is away');
    const seen = unread.splice(0);
    await Promise.resolve();
    for (const id of seen) tenants.changed({ id });
  });
  return { tenants, unread, log };
};

describe('tenants', () => {
  it('exist from their state record to its deletion', async () => {
    const { tenants } = given();
    tenants.changed({ id: 'acme' });
    expect([tenants.exists('acme'), tenants.size]).toEqual([true, 1]);
    tenants.removed('acme');
    expect([await tenants.exists('acme'), tenants.size]).toEqual([false, 0]);
  });

  it('are found when they were created a moment ago', async () => {
    const { tenants, unread } = given();
    unread.push('acme');
    expect(await tenants.exists('acme')).toBe(true);
  });

  it('keep those who ask in order, also when the answer comes in between', async () => {
    const { tenants } = given();
    const order: number[] = [];
    const first = Promise.resolve(tenants.exists('acme')).then(() => order.push(1));
    tenants.changed({ id: 'acme' });
    const second = Promise.resolve(tenants.exists('acme')).then(() => order.push(2));
    await Promise.all([first, second]);
    expect(order).toEqual([1, 2]);
    expect(tenants.exists('acme')).toBe(true);
  });

  it('can be asked for again after Kafka was away', async () => {
    const { tenants, unread, log } = given();
    log.failures = 1;
    await expect(tenants.exists('acme')).rejects.toThrow('Kafka is away');
    unread.push('acme');
    expect(await tenants.exists('acme')).toBe(true);
  });
});
