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
  ])('%s: %s', async (filter, matches) => expect(await check({ filter, event })).toEqual({ matches, cost: 0 }));

  it('tells where it is wrong', async () => {
    expect(await check({ filter: 'data.amount >', event })).toEqual({
      error: { message: expect.any(String), position: { offset: 13, line: 1, column: 14 } },
    });
  });

  it('tells why it cannot be evaluated', async () => {
    expect(await check({ filter: 'data.total > 1', event })).toEqual({ error: { message: expect.stringContaining('there is no member "total"') }, cost: 0 });
  });

  it('takes an event with no more than its type', async () => {
    expect(await check({ filter: 'data == null && event.id != ""', event: { type: 'a' } })).toEqual({ matches: true, cost: 0 });
  });

  it('tells the steps that it takes at most, and refuses what would run out of them', async () => {
    expect(await check({ filter: 'data.lines.exists(l, l == 1)', event: { type: 'a', data: { lines: [1] } } })).toEqual({ matches: true, cost: 32 * 5 });
    expect(await check({ filter: 'data.a.exists(x, x.exists(y, y.exists(z, z == 1)))', event: { type: 'a', data: { a: [] } } })).toEqual({
      error: { message: expect.stringContaining('takes too long'), position: { offset: 29, line: 1, column: 30 } },
      cost: expect.any(Number),
    });
  });

  it('is only for tenants that there are', async () => {
    const absent = new FilterCheck(() => Promise.reject(new Error('no such tenant')));
    await expect(absent.check('nobody', { filter: 'true', event })).rejects.toThrow('no such tenant');
  });
});

describe('checking a transform', () => {
  it('shows the body', async () => {
    expect(await check({ transform: '{"sum": data.amount + 1}', event })).toEqual({ result: { sum: 13 }, cost: 2 });
  });

  it('shows the headers of a request', async () => {
    expect(await check({ transform: 'request(data.amount, {"X-Shop": string(event.context.shop)})', event })).toEqual({ result: 12, headers: { 'x-shop': '7' }, cost: expect.any(Number) });
    expect(await check({ transform: 'request(data.amount, {"Host": "x"})', event })).toMatchObject({ error: { message: expect.stringContaining('the header "Host" cannot be sent') } });
  });

  it.each(['{"sum": data.total}', '{"sum": '])('%s tells what is wrong', async (transform) => {
    expect(await check({ transform, event })).toMatchObject({ error: { message: expect.any(String) } });
  });
});
