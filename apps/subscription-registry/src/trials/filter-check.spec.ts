import { describe, expect, it } from '@jest/globals';
import { filterCheckBody, filterCheckResult, type FilterCheckResult } from '@posthorn/contracts';
import { FilterCheck } from './filter-check.js';

const check = async (body: object): Promise<FilterCheckResult> => {
  const result = await new FilterCheck(() => Promise.resolve()).check('acme', filterCheckBody.parse(body));
  return filterCheckResult.parse(result);
};

const event = { type: 'invoice.paid', subject: 'inv-1', key: 'k', time: '2026-03-01T10:00:00Z', headers: { a: 'b' }, context: { shop: 7 }, data: { amount: 12 } };

describe('checking a filter', () => {
  it.each([
    ['event.type == "invoice.paid" && data.amount > 10', true],
    ['event.tenant == "acme" && event.subject == "inv-1" && event.key == "k" && event.headers.a == "b" && event.context.shop == 7', true],
    ['event.time == timestamp("2026-03-01T10:00:00Z") && event.content_type == "application/json"', true],
    ['data.amount > 100', false],
  ])('%s: %s', async (filter, matches) => expect(await check({ filter, event })).toEqual({ matches }));

  it('tells where it is wrong', async () => {
    expect(await check({ filter: 'data.amount >', event })).toEqual({
      error: { message: expect.any(String), position: { offset: 13, line: 1, column: 14 } },
    });
  });

  it('tells why it cannot be evaluated', async () => {
    expect(await check({ filter: 'data.total > 1', event })).toEqual({ error: { message: expect.stringContaining('there is no member "total"') } });
  });

  it('takes an event with no more than its type', async () => {
    expect(await check({ filter: 'data == null && event.id != ""', event: { type: 'a' } })).toEqual({ matches: true });
  });

  it('is only for tenants that there are', async () => {
    const absent = new FilterCheck(() => Promise.reject(new Error('no such tenant')));
    await expect(absent.check('nobody', { filter: 'true', event })).rejects.toThrow('no such tenant');
  });
});

describe('checking a transform', () => {
  it('shows the body', async () => {
    expect(await check({ transform: '{"sum": data.amount + 1}', event })).toEqual({ result: { sum: 13 } });
  });

  it.each(['{"sum": data.total}', '{"sum": '])('%s tells what is wrong', async (transform) => {
    expect(await check({ transform, event })).toMatchObject({ error: { message: expect.any(String) } });
  });
});
