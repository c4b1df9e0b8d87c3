import { describe, expect, it } from '@jest/globals';
import type { SubscriptionState } from '@posthorn/contracts';
import { matchesPattern, parsePattern } from '@posthorn/domain';
import { subscription } from '../spec-support/records.js';
import { SubscriptionTable } from './subscription-table.js';

const partitionOf = (id: string): number => id.charCodeAt(id.length - 1) % 3;
const ids = (table: SubscriptionTable, tenant: string, type: string, passes: (filter: string) => boolean = () => true): string[] =>
  [...table.match(tenant, type, passes).values()].flat().sort();

describe('the subscription table', () => {
  it('finds a subscription once, however many of its patterns match', () => {
    const table = new SubscriptionTable(partitionOf);
    table.changed(subscription('a', ['*', 'invoice.*', 'invoice.paid']));
    expect(ids(table, 'default', 'invoice.paid')).toEqual(['a']);
  });

  it('groups the matches by the partition of their deliveries', () => {
    const table = new SubscriptionTable(partitionOf);
    for (const id of ['a', 'b', 'c', 'd']) table.changed(subscription(id, ['*']));
    for (const [partition, together] of table.match('default', 'x', () => true)) {
      expect(together.map(partitionOf)).toEqual(together.map(() => partition));
    }
    expect(ids(table, 'default', 'x')).toEqual(['a', 'b', 'c', 'd']);
  });

  it('knows nothing of other tenants', () => {
    const table = new SubscriptionTable(partitionOf);
    table.changed(subscription('a', ['*'], { tenant: 'acme' }));
    expect(ids(table, 'default', 'x')).toEqual([]);
    expect(ids(table, 'acme', 'x')).toEqual(['a']);
  });

  it('forgets a subscription that is deleted, disabled or no longer asks', () => {
    const table = new SubscriptionTable(partitionOf);
    for (const id of ['a', 'b', 'c']) table.changed(subscription(id, ['x.*', 'y']));
    table.removed('a');
    table.changed(subscription('b', ['x.*', 'y'], { enabled: false }));
    table.changed(subscription('c', ['y']));
    expect(ids(table, 'default', 'x.1')).toEqual([]);
    expect(ids(table, 'default', 'y')).toEqual(['c']);
    expect(table.size).toBe(1);
  });

  it('asks the filter of those whose types match, and of no others', () => {
    const table = new SubscriptionTable(partitionOf);
    table.changed(subscription('a', ['x'], { filter: 'yes' }));
    table.changed(subscription('b', ['x', 'x.*'], { filter: 'no' }));
    table.changed(subscription('c', ['x']));
    table.changed(subscription('d', ['y'], { filter: 'other' }));
    const asked: string[] = [];
    const passes = (filter: string): boolean => asked.push(filter) > 0 && filter === 'yes';
    expect(ids(table, 'default', 'x', passes)).toEqual(['a', 'c']);
    expect(asked).toEqual(['yes', 'no']);
    table.changed(subscription('b', ['x'], { filter: 'yes' }));
    table.changed(subscription('a', ['x'], { filter: 'no' }));
    expect(ids(table, 'default', 'x', passes)).toEqual(['b', 'c']);
  });

  it('agrees with looking at every pattern, after any history of changes', () => {
    const patterns = ['*', 'a', 'a.*', 'a.b', 'a.b.*', 'a.b.c', 'b.*', 'b'];
    const types = ['a', 'a.b', 'a.b.c', 'a.c', 'b', 'b.c', 'c'];
    const random = seeded(7);
    const table = new SubscriptionTable(partitionOf);
    const current = new Map<string, SubscriptionState>();
    for (let step = 0; step < 2_000; step += 1) {
      const id = `s${Math.floor(random() * 20)}`;
      if (random() < 0.2) {
        table.removed(id);
        current.delete(id);
      } else {
        const state = subscription(id, patterns.filter(() => random() < 0.3).concat('b'), { enabled: random() < 0.8 });
        table.changed(state);
        current.set(id, state);
      }
      const type = types[step % types.length] ?? '';
      const expected = [...current.values()].filter(
        ({ enabled, event_types }) => enabled && event_types.some((pattern) => matchesPattern(parsePattern(pattern), type)),
      );
      expect(ids(table, 'default', type)).toEqual(expected.map(({ id }) => id).sort());
    }
  });
});

/** mulberry32 */
const seeded = (seed: number) => (): number => {
  seed = (seed + 0x6d2b79f5) | 0;
  let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
  t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
  return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
};
