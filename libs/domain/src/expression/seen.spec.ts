import { describe, expect, it } from '@jest/globals';
import type { Envelope } from '@posthorn/contracts';
import { EventInput } from './event-input.js';
import { compileFilter, explainFilter, type ExplainedFilter } from './expression.js';
import { MOST_PARTS } from './seen.js';

const envelope: Envelope = {
  specversion: '1.0',
  id: 'evt_1',
  tenant: 'acme',
  type: 'invoice.paid',
  source: '/billing',
  time: '2026-03-04T05:06:07.890Z',
  acceptedtime: '2026-03-04T05:06:08.000Z',
};
const data = {
  amount: 50,
  customer: { country: 'CH' },
  items: [{ price: 1 }, { price: 9 }],
  long: 'y'.repeat(1_000),
  many: Array.from({ length: 1_000 }, (_, i) => i),
};

const input = (): EventInput => new EventInput(envelope, Buffer.from(JSON.stringify(data)));

const explain = (text: string): ExplainedFilter => {
  const explained = explainFilter(text, input());
  if (explained.kind === 'refused') throw new Error(`${text}: ${explained.message}`);
  return explained;
};

describe('a filter that is explained', () => {
  it('shows the members it asked for and what became of each comparison', () => {
    expect(explain('data.amount > 100 && data.customer.country == "CH"')).toEqual({
      kind: 'explained',
      verdict: { matches: false },
      parts: [
        { expression: 'data.amount', value: 50 },
        { expression: 'data.amount > 100', value: false },
      ],
      more: 0,
    });
  });

  it('goes on with what follows where nothing is decided yet', () => {
    expect(explain('data.amount < 100 && data.customer["country"] == "DE"').parts).toEqual([
      { expression: 'data.amount', value: 50 },
      { expression: 'data.amount < 100', value: true },
      { expression: 'data.customer["country"]', value: 'CH' },
      { expression: 'data.customer["country"] == "DE"', value: false },
    ]);
  });

  it('names the part that cannot be evaluated, and not those around it', () => {
    const { verdict, parts } = explain('data.customer.address.city == "Bern"');
    expect(verdict).toEqual({ matches: false, reason: expect.stringContaining('address') });
    expect(parts).toEqual([{ expression: 'data.customer.address', error: expect.stringContaining('address') }]);
  });

  it('shows what a comprehension goes over and comes to, not each of its turns', () => {
    expect(explain('data.items.exists(item, item.price > 10)').parts).toEqual([{ expression: 'data.items', value: [{ price: 1 }, { price: 9 }] }]);
  });

  it('shows times as the API writes them', () => {
    expect(explain('event.time > timestamp("2027-01-01T00:00:00Z")').parts).toContainEqual({ expression: 'event.time', value: '2026-03-04T05:06:07.890Z' });
  });

  it('tells of what is too large in words, and of no more parts than a person reads', () => {
    const { parts } = explain('data.long == "x" || size(data.many) == 1');
    expect(parts).toContainEqual({ expression: 'data.long', about: expect.stringMatching(/^a text of 1000 characters that begins with "y+"$/) });
    expect(parts).toContainEqual({ expression: 'data.many', about: 'a list of 1000' });
    const long = explain(Array.from({ length: 40 }, (_, i) => `data.amount == ${i}`).join(' || '));
    expect([long.parts.length, long.more > 0]).toEqual([MOST_PARTS, true]);
    const [first] = explain(`data.amount == ${'1 + '.repeat(100)}1`).parts.slice(-1);
    expect(first?.expression.length).toBeLessThan(300);
  });

  it('comes to the verdict that the filter comes to when nobody looks, within the same bound', () => {
    for (const text of ['data.amount > 1', 'data.amount > 100', 'data.nothing', 'data.many.all(a, data.many.all(b, data.many.exists(c, a + b == c)))']) {
      const compiled = compileFilter(text);
      expect(compiled.kind === 'compiled' && compiled.filter.judge(input())).toEqual(explain(text).verdict);
    }
  });

  it('is refused where the filter would be', () => {
    expect(explainFilter('data.amount >', input()).kind).toBe('refused');
  });
});
