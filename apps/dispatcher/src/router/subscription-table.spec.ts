import { describe, expect, it } from '@jest/globals';
import type { SubscriptionState } from '@posthorn/contracts';
import { matchesPattern, parsePattern } from '@posthorn/domain';
import { defaultPolicy, subscription } from '../spec-support/records.js';
import { seeded } from '../spec-support/seeded.js';
import { SubscriptionTable } from './subscription-table.js';

const homeOf = (id: string): number => id.charCodeAt(id.length - 1) % 3;

/** What the table finds, with filters as `filter: ids`. */
const found = (table: SubscriptionTable, tenant: string, type: string): string[] => {
  const { unfiltered, filtered } = table.candidates(tenant, type);
  const ids = [...unfiltered, ...[...filtered.values()].flat()].map((candidate) => candidate.subscription);
  return ids.sort();
};

describe('the subscription table', () => {
  it('finds a subscription once, however many of its patterns match', () => {
    const table = new SubscriptionTable(homeOf);
    table.changed(subscription('a', ['invoice.*', 'invoice.paid', 'invoice.paid']));
    table.changed(subscription('b', ['*', 'invoice.*', 'invoice.paid']));
    expect(found(table, 'default', 'invoice.paid')).toEqual(['a', 'b']);
  });

  it('knows where the deliveries of each go', () => {
    const table = new SubscriptionTable(homeOf);
    table.changed(subscription('a', ['*']));
    table.changed(subscription('b', ['*'], { policy: { ...defaultPolicy, spread: 4 } }));
    expect(table.candidates('default', 'x').unfiltered).toEqual([
      { subscription: 'a', home: homeOf('a'), spread: 1 },
      { subscription: 'b', home: homeOf('b'), spread: 4 },
    ]);
  });

  it('knows nothing of other tenants', () => {
    const table = new SubscriptionTable(homeOf);
    table.changed(subscription('a', ['*'], { tenant: 'acme' }));
    expect(found(table, 'default', 'x')).toEqual([]);
    expect(found(table, 'acme', 'x')).toEqual(['a']);
  });

  it('does not take a type for a pattern', () => {
    const table = new SubscriptionTable(homeOf);
    table.changed(subscription('a', ['x.*']));
    table.changed(subscription('b', ['x']));
    expect(found(table, 'default', '*')).toEqual([]);
    expect(found(table, 'default', 'x.*')).toEqual(['a']);
    expect(found(table, 'default', 'x')).toEqual(['b']);
  });

  it('forgets a subscription that is deleted or no longer asks', () => {
    const table = new SubscriptionTable(homeOf);
    for (const id of ['a', 'b', 'c']) table.changed(subscription(id, ['x.*', 'y']));
    table.removed('a');
    table.removed('never there');
    table.changed(subscription('c', ['y']));
    expect(found(table, 'default', 'x.1')).toEqual(['b']);
    expect(found(table, 'default', 'y')).toEqual(['b', 'c']);
    expect(table.size).toBe(2);
  });

  it('keeps disabled subscriptions apart: counted, and the first hundred named', () => {
    const table = new SubscriptionTable(homeOf);
    const ids = Array.from({ length: 150 }, (_, n) => `s${n}`);
    for (const id of ids) table.changed(subscription(id, ['x', 'y.*'], { enabled: false }));
    table.changed(subscription('all', ['*'], { enabled: false }));
    expect(table.size).toBe(0);
    expect(found(table, 'default', 'x')).toEqual([]);
    expect(table.candidates('default', 'x')).toMatchObject({ disabled: ids.slice(0, 100), disabledCount: 151 });
    table.changed(subscription('s7', ['x']));
    expect(found(table, 'default', 'x')).toEqual(['s7']);
    expect(table.candidates('default', 'x').disabledCount).toBe(150);
    expect(table.candidates('default', 'y.z')).toMatchObject({ disabledCount: 150 });
  });

  it('groups by filter those whose types match, and no others', () => {
    const table = new SubscriptionTable(homeOf);
    table.changed(subscription('a', ['x'], { filter: 'one' }));
    table.changed(subscription('b', ['x', 'x.*'], { filter: 'two' }));
    table.changed(subscription('c', ['x']));
    table.changed(subscription('d', ['y'], { filter: 'other' }));
    table.changed(subscription('e', ['*'], { filter: 'one' }));
    const groups = () => Array.from(table.candidates('default', 'x').filtered, ([filter, group]) => [filter, group.map((each) => each.subscription)]);
    expect(groups()).toEqual([
      ['one', ['a', 'e']],
      ['two', ['b']],
    ]);
    table.changed(subscription('e', ['*'], { filter: 'two' }));
    table.changed(subscription('a', ['x']));
    expect(groups()).toEqual([['two', ['b', 'e']]]);
    expect(found(table, 'default', 'x')).toEqual(['a', 'b', 'c', 'e']);
  });

  it.each([7, 8, 9])('agrees with looking at every subscription, after any history of changes (seed %d)', (seed) => {
    const patterns = ['*', 'a', 'a.*', 'a.b', 'a.b.*', 'a.b.c', 'b.*', 'b'];
    const types = ['a', 'a.b', 'a.b.c', 'a.c', 'b', 'b.c', 'c'];
    const filters = [undefined, undefined, 'one', 'two', 'three'];
    const random = seeded(seed);
    const pick = <T>(items: readonly T[]): T | undefined => items[Math.floor(random() * items.length)];
    const table = new SubscriptionTable(homeOf);
    const current = new Map<string, SubscriptionState>();
    for (let step = 0; step < 2_000; step += 1) {
      const id = `s${Math.floor(random() * 20)}`;
      if (random() < 0.2) {
        table.removed(id);
        current.delete(id);
      } else {
        const tenant = pick(['one', 'two']) ?? '';
        const asked = patterns.filter(() => random() < 0.2).concat(pick(patterns) ?? '*');
        const state = subscription(id, asked, { tenant, enabled: random() < 0.7, filter: pick(filters) });
        table.changed(state);
        current.set(id, state);
      }
      const type = types[step % types.length] ?? '';
      const asking = [...current.values()].filter(
        ({ tenant, event_types }) => tenant === 'one' && event_types.some((pattern) => matchesPattern(parsePattern(pattern), type)),
      );
      const expected = (enabled: boolean, filter?: string) =>
        asking.filter((state) => state.enabled === enabled && (!enabled || state.filter === filter)).map((state) => state.id).sort();
      const { unfiltered, filtered, disabled, disabledCount } = table.candidates('one', type);
      expect(unfiltered.map((each) => each.subscription).sort()).toEqual(expected(true));
      for (const filter of ['one', 'two', 'three']) {
        expect((filtered.get(filter) ?? []).map((each) => each.subscription).sort()).toEqual(expected(true, filter));
      }
      expect([...disabled].sort()).toEqual(expected(false));
      expect(disabledCount).toBe(disabled.length);
      expect(table.size).toBe([...current.values()].filter(({ enabled }) => enabled).length);
    }
  });
});
