import { describe, expect, it } from '@jest/globals';
import type { Envelope } from '@posthorn/contracts';
import { EventInput } from './event-input.js';
import { compileFilter, compileTransform, type FilterVerdict } from './expression.js';

const envelope: Envelope = {
  specversion: '1.0',
  id: 'evt_1',
  tenant: 'acme',
  type: 'invoice.paid',
  source: '/billing',
  time: '2026-03-04T05:06:07.890Z',
  acceptedtime: '2026-03-04T05:06:08.000Z',
  subject: 'inv-117',
  headers: { region: 'eu' },
};

const data = {
  amount: 150,
  ratio: 0.5,
  negative: -3,
  currency: 'EUR',
  nothing: null,
  paid: true,
  name: 'Zoë',
  items: [
    { sku: 'A-1', quantity: 2, tags: ['new'] },
    { sku: 'B-2', quantity: 5, tags: [] },
  ],
  mixed: [1, 'x', null, true],
  none: [],
  address: { city: 'Zürich', 'post code': '8001' },
  at: '2026-03-04T05:06:07Z',
  '': 1,
};

const input = (value: unknown = data, rest: Partial<Envelope> = {}): EventInput =>
  new EventInput({ ...envelope, ...rest }, Buffer.from(JSON.stringify(value)));

const judge = (text: string, on: EventInput = input()): FilterVerdict => {
  const compiled = compileFilter(text);
  if (compiled.kind === 'refused') throw new Error(`${text}: ${compiled.message}`);
  return compiled.filter.judge(on);
};

const render = (text: string, on: EventInput = input()): unknown => {
  const compiled = compileTransform(text);
  if (compiled.kind === 'refused') throw new Error(`${text}: ${compiled.message}`);
  const result = compiled.transform.render(on);
  return result.kind === 'rendered' ? (JSON.parse(result.json) as unknown) : result;
};

describe('a filter that holds', () => {
  it.each([
    'true',
    'event.type == "invoice.paid"',
    'event.type.startsWith("invoice.") && event.tenant == "acme"',
    'event.source == "/billing" && event.id == "evt_1" && event.subject == "inv-117"',
    'event.headers.region == "eu"',
    'event.headers["region"] in ["eu", "us"]',
    'event.content_type == "application/json"',
    'event.time > timestamp("2026-03-04T05:06:07Z")',
    'event.time - timestamp("2026-03-04T05:06:07.890Z") == duration("0s")',
    'event.time + duration("1h30m") < timestamp("2026-03-04T07:00:00Z")',
    'event.time.getFullYear() == 2026 && event.time.getMonth() == 2 && event.time.getDate() == 4',
    'event.time.getDayOfMonth() == 3 && event.time.getDayOfWeek() == 3 && event.time.getDayOfYear() == 62',
    'event.time.getHours() == 5 && event.time.getMinutes() == 6 && event.time.getSeconds() == 7 && event.time.getMilliseconds() == 890',
    'timestamp(data.at) <= event.time',
    'int(event.time) == 1772600767',
    // Numbers: JSON does not tell ints from doubles.
    'data.amount > 10',
    'data.amount > 10.5',
    'data.amount >= 150 && data.amount <= 150 && data.amount == 150',
    'data.ratio < 1',
    'data.ratio == 0.5 && data.ratio != 1',
    '10 < data.amount && 0.25 < data.ratio',
    'data.negative == -3 && -data.negative == 3',
    'data.amount * 2 == 300 && 2 * data.amount == 300 && data.amount / 4 == 37.5',
    'data.amount + 0.5 == 150.5 && data.amount - 1 == 149 && data.amount % 2 == 0',
    '7 / 2 == 3 && 7 % 2 == 1 && 7.0 / 2 == 3.5 && 1 + 2 * 3 == 7',
    'int(data.ratio) == 0 && double("1.5") == 1.5 && int("42") == 42',
    '9007199254740993 > 9007199254740992.0',
    'size(data.items) * 2 == 4',
    // Texts
    'data.currency in ["EUR", "USD"]',
    '!(data.currency in ["CHF"])',
    'data.currency.contains("U") && data.currency.endsWith("R")',
    'data.currency.lowerAscii() == "eur" && "a".upperAscii() == "A" && " x ".trim() == "x"',
    'data.name.size() == 3 && size("") == 0 && size("😀!") == 2',
    'data.currency + "/" + event.tenant == "EUR/acme"',
    'data.currency.indexOf("R") == 2 && data.currency.substring(1) == "UR" && data.currency.substring(0, 2) == "EU"',
    '"a,b".split(",") == ["a", "b"] && ["a", "b"].join("-") == "a-b" && "a.b.c".replace(".", "") == "abc"',
    '"a" < "b" && "b" >= "a"',
    'string(1) == "1" && string(1.5) == "1.5" && string(true) == "true"',
    "data.address['post code'] == '8001' && data[''] == 1",
    // matches() finds anywhere, as RE2 does
    'data.currency.matches("^[A-Z]{3}$")',
    'matches(data.currency, "U")',
    '!data.currency.matches("^u")',
    // Lists and maps
    'data.items[0].sku == "A-1" && data.items[1]["quantity"] == 5',
    'data.items.exists(i, i.quantity > 4)',
    'data.items.all(i, i.quantity > 1 && i.sku.size() == 3)',
    'data.items.exists_one(i, i.sku == "A-1")',
    'data.items.filter(i, i.quantity > 4).size() == 1',
    'data.items.map(i, i.sku) == ["A-1", "B-2"]',
    'data.items.map(i, i.quantity > 2, i.sku) == ["B-2"]',
    'data.items.exists(i, i.tags.exists(t, t == "new"))',
    'data.items.exists(i, data.items.all(j, j.quantity >= i.quantity))',
    'data.address.exists(name, name == "city")',
    'data.none.all(x, x.missing) && !data.none.exists(x, true)',
    '"x" in data.mixed && 1 in data.mixed && null in data.mixed && !(2 in data.mixed)',
    '"city" in data.address && !("street" in data.address)',
    'data.none + [1] == [1.0] && {"a": 1} == {"a": 1} && data.items[0] != data.items[1] && [1] != [2]',
    'data.items.exists(data, data.sku == "B-2") && data.amount == 150',
    // Absence, null, types
    'has(data.amount) && !has(data.total) && has(data.nothing)',
    '!has(event.key) && has(event.subject)',
    'has(data.items[0].sku) && !has(data.items[1].color)',
    'data.nothing == null && data.amount != null && null == null',
    'data.currency != 1 && data.mixed[1] != data.mixed[0]',
    'type(data.amount) == double && type(data.items) == list && type(1) == int && type(data.nothing) == null_type',
    'data.paid ? data.amount > 1 : false',
    'data.paid && !false',
    // The order of operands does not matter when one decides
    'data.missing > 1 || data.amount > 1',
    'data.amount > 1 || data.missing > 1',
    '!(data.missing > 1 && data.amount > 1000)',
    'data.items.exists(i, i.color == "red" || i.quantity == 5)',
    '[1, 0].exists(x, 1 / x == 1)',
  ])('%s', (text) => expect(judge(text)).toEqual({ matches: true }));
});

describe('a filter that does not', () => {
  it.each(['false', 'event.type == "invoice"', 'data.amount > 150', 'data.items.all(i, i.quantity > 4)', '"amount" in data.address', 'data.currency == 1'])(
    '%s is false',
    (text) => expect(judge(text)).toEqual({ matches: false }),
  );

  it.each([
    ['data.total > 1', 'there is no member "total"'],
    ['data.address.street.name == "x"', 'there is no member "street"'],
    ['has(data.total.net)', 'there is no member "total"'],
    ['data.nothing.x == 1', 'the member "x" is not defined for null_type'],
    ['data.currency > 1', '> is not defined for string and double'],
    ['data.items[2].sku == "x"', 'there is no item 2 in a list of 2'],
    ['data.amount', 'the result is not a bool but of type double'],
    ['data.currency && true', '&& is not defined for string'],
    ['data.amount.startsWith("1")', 'startsWith is not defined for double'],
    ['1 / int(data[""] - 1) == 1', 'division by zero'],
    ['9223372036854775807 + int(data.amount) > 0', 'the number does not fit into 64 bits'],
    ['timestamp(data.currency) < event.time', 'not a timestamp between the years 1 and 9999'],
    ['event.subject.substring(100) == ""', 'substring(100, 7) of a text of 7'],
    ['data.constructor == null', 'there is no member "constructor"'],
    ['data.__proto__ == null', 'there is no member "__proto__"'],
    ['event.key == "k"', 'there is no member "key"'],
  ])('%s cannot be evaluated: %s', (text, reason) => {
    expect(judge(text)).toEqual({ matches: false, reason });
  });

  it('sees no data in what is not JSON', () => {
    const binary = new EventInput({ ...envelope, datacontenttype: 'application/octet-stream' }, Buffer.from([0xff, 0]));
    expect(judge('data == null && event.content_type == "application/octet-stream"', binary)).toEqual({ matches: true });
    expect(judge('data.amount > 1', binary).matches).toBe(false);
  });
});

describe('what is refused, with the place', () => {
  it.each([
    ['data.amount >', 1, 14],
    ['event.type ==\n  "a" &&\n  evnt.id == "x"', 3, 3],
    ['event.typ == "invoice.paid"', 1, 7],
    ['event.id > 3', 1, 1],
    ['size(data.items)', 1, 1],
    ['"text"', 1, 1],
    ['data.name.reverse() == "x"', 1, 1],
    ['data.x.matches(data.pattern)', 1, 16],
    ['data.x.matches("(a")', 1, 16],
    ['data.x.matches("(a{1000}){1000}")', 1, 16],
    ['data.x == b"bytes"', 1, 11],
    ['data.x == 1u', 1, 11],
    ['cel.bind(x, 1, x == 1)', 1, 1],
    ['google.protobuf.Timestamp == data.x', 1, 1],
    ['timestamp("yesterday") < event.time', 1, 1],
    ['data.a.exists(a, a.exists(b, b.exists(c, c.exists(d, d))))', 1, 42],
    ['has(data)', 1, 5],
    ['has(data.items[0])', 1, 5],
    ['{1: true}[1]', 1, 2],
    ['event.time.getHours("Europe/Zurich") == 1', 1, 1],
    ['99999999999999999999 == data.x', 1, 1],
  ])('%s', (text, line, column) => {
    const refused = compileFilter(text);
    expect(refused).toMatchObject({ kind: 'refused', position: { line, column } });
  });

  it.each([
    ['parentheses', `${'('.repeat(2_000)}true${')'.repeat(2_000)}`],
    ['signs', `${'!'.repeat(4_000)}true`],
    ['a long row', Array.from({ length: 600 }, () => 'true').join('&&')],
    ['lists', `${'['.repeat(1_500)}${']'.repeat(1_500)} == data`],
    ['members', `data${'.a'.repeat(2_000)} == 1`],
  ])('nests too deeply: %s', (_, text) => expect(compileFilter(text).kind).toBe('refused'));
});

const named = (count: number) => Object.fromEntries(Array.from({ length: count }, (_, i) => [`name${i}`, i]));

describe('a hostile filter', () => {
  const long = 'x'.repeat(100_000);
  const many = input({
    list: Array.from({ length: 50_000 }, (_, i) => i),
    long,
    same: `${long.slice(1)}x`,
    names: named(3_000),
    fewer: named(2_999),
    objects: Array.from({ length: 1_000 }, () => ({})),
    seconds: '1s'.repeat(50_000),
  });

  it.each([
    'data.list.exists(a, data.list.exists(b, data.list.exists(c, c < 0)))',
    'data.list.all(a, a in data.list)',
    'data.list.exists(a, data.nope)',
    'data.list.exists(a, data.nope || a < 0)',
    'data.list.all(a, data.long.size() == 100000)',
    'data.list.all(a, data.list + [a] != [])',
    'data.list.all(a, data.long == data.same)',
    'data.list.all(a, !data.long.contains("y"))',
    'data.list.all(a, data.long + data.long != "")',
    'data.list.all(a, data.list == data.list + [])',
    'data.long.matches("(x+x+)+y(x|xx)*z")',
    '[data.long].map(a, [a, a, a, a, a, a, a, a].join()).map(b, [b, b, b, b, b, b, b, b].join()).map(c, [c, c, c, c, c, c, c, c].join()).size() > 0',
    '[data.list].map(a, a + a + a + a).map(b, b + b + b + b).map(c, c + c + c + c).map(d, d + d + d).size() > 0',
    'data.long.split("").map(a, data.long.split("")).size() > 0',
    'data.long.replace("", data.long).size() > 0',
    'data.list.exists(a, data.names == data.fewer)',
    'data.names in data.objects',
    '(data.long.indexOf("xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxy")) + data.list.map(l, data.long.indexOf("xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxy")).size() > 0',
  ])('ends soon: %s', (text) => {
    const before = process.threadCpuUsage();
    expect(judge(text, many)).toEqual({ matches: false, reason: 'it takes more than 50000 steps' });
    expect(process.threadCpuUsage(before).user).toBeLessThan(1_000_000);
  });

  it('reads no duration of more than a few terms', () => {
    expect(judge('duration("1h1m1s1ms1us1ns1s1s") > duration("1h")', many)).toEqual({ matches: true });
    expect(judge('duration(data.seconds) > duration("1h")', many)).toEqual({ matches: false, reason: 'not a duration like "1h30m"' });
  });

  it('tells the beginning of a name that the event gave', () => {
    expect(judge('data[data.long] == 1', many)).toEqual({ matches: false, reason: `there is no member "${'x'.repeat(128)}"` });
    expect(judge('data.list.exists(a, data.long[data.long] == 1)', many)).toMatchObject({ reason: expect.stringMatching(/^.{1,200}$/) });
  });

  it('takes no more than what several have left together, and of that what it takes', () => {
    const budget = { left: 120_000 };
    const judgeWithin = (text: string) => {
      const compiled = compileFilter(text);
      if (compiled.kind === 'refused') throw new Error(compiled.message);
      return compiled.filter.judge(many, budget);
    };
    judgeWithin('data.list.exists(a, data.list.exists(b, b < 0))');
    expect(budget.left).toBe(70_000);
    // At least the whole of its own for a text so long: steps that it was refused it has not taken.
    judgeWithin('data.long.matches("(x+x+)+y(x|xx)*z")');
    expect(budget.left).toBe(20_000);
    expect(judgeWithin('data.list.exists(a, a < 0)')).toEqual({ matches: false, reason: 'it takes more than 20000 steps' });
    expect(budget.left).toBe(0);
  });

  it('does not count against the next, nor against what is computed when one is compiled', () => {
    judge('data.list.all(a, a in data.list)', many);
    expect(compileFilter('size("abc") == 3').kind).toBe('compiled');
    judge('data.list.all(a, a in data.list)', many);
    expect(judge('data.list.size() == 50000', many)).toEqual({ matches: true });
  });
});

const weightOf = (text: string): number => {
  const compiled = compileFilter(text);
  if (compiled.kind === 'refused') throw new Error(compiled.message);
  return compiled.filter.weight;
};

const patterns = (count: number) => Array.from({ length: count }, (_, i) => `"x".matches("(a|${i}){99}")`).join(' || ');

describe('what a filter weighs', () => {
  it('is its text, and what its patterns are repeated to', () => {
    expect(weightOf('data.a == 1')).toBe(11);
    expect(weightOf('data.a.matches("a{500}")')).toBeGreaterThan(4 * 500);
    expect(weightOf('data.a.matches("a{500}") && data.a.matches("b{500}")')).toBeGreaterThan(4 * 1_000);
  });

  it('is bounded, whatever its patterns are matched with', () => {
    expect(weightOf(patterns(2))).toBeGreaterThan(4 * 2 * 99);
    expect(compileFilter(patterns(50))).toMatchObject({ kind: 'refused', message: 'The patterns repeat too much.', position: { offset: expect.any(Number) } });
  });
});

describe('a transform', () => {
  it('makes JSON of the event', () => {
    expect(
      render('{"what": event.type, "total": data.amount * 2, "at": event.time, "lines": data.items.map(i, {"sku": i.sku, "few": i.quantity < 3}), "n": size(data.items), "none": null}'),
    ).toEqual({
      what: 'invoice.paid',
      total: 300,
      at: '2026-03-04T05:06:07.890Z',
      lines: [
        { sku: 'A-1', few: true },
        { sku: 'B-2', few: false },
      ],
      n: 2,
      none: null,
    });
  });

  it('may be any value, and lists may be mixed', () => {
    expect(render('data')).toEqual(data);
    expect(render('[1, "a", data.paid, duration("90s")]')).toEqual([1, 'a', true, '90s']);
    expect(render('event')).toMatchObject({ id: 'evt_1', time: '2026-03-04T05:06:07.890Z', headers: { region: 'eu' } });
  });

  it('keeps every digit of an int', () => {
    const compiled = compileTransform('{"n": int("9007199254740993")}');
    expect(compiled.kind === 'compiled' && compiled.transform.render(input())).toEqual({ kind: 'rendered', json: '{"n":9007199254740993}' });
  });

  it('can name a member like one that JavaScript objects inherit', () => {
    const compiled = compileTransform('{"__proto__": {"a": 1}, "constructor": 2}');
    expect(compiled.kind === 'compiled' && compiled.transform.render(input())).toEqual({ kind: 'rendered', json: '{"__proto__":{"a":1},"constructor":2}' });
  });

  it('writes times as protobuf does', () => {
    expect(render('[timestamp("2026-03-04T05:06:07Z"), timestamp("2026-03-04T05:06:07.5Z"), duration("1.5s")]')).toEqual(['2026-03-04T05:06:07Z', '2026-03-04T05:06:07.500Z', '1.5s']);
  });

  it.each([
    ['data.total', 'there is no member "total"'],
    ['{data.amount: 1}', 'a map key is not defined for double'],
    ['data.amount / 0', 'JSON cannot write Infinity'],
  ])('fails: %s', (text, reason) => expect(render(text)).toEqual({ kind: 'failed', reason }));

  it('does not make more than a megabyte', () => {
    const big = input({ text: 'x'.repeat(200_000), list: Array.from({ length: 100 }, () => 0) });
    expect(render('data.list.map(i, data)', big)).toEqual({ kind: 'failed', reason: 'the result is longer than 1048576 characters' });
  });
});

const made = (text: string) => {
  const compiled = compileTransform(text);
  if (compiled.kind === 'refused') throw new Error(compiled.message);
  return compiled.transform.render(input());
};
const withHeaders = (count: number, value = 'v') => `request(1, {${Array.from({ length: count }, (_, i) => `"x-${i}": "${value}"`).join(', ')}})`;

describe('a transform that makes a request', () => {
  it('has a body, and headers under lower-case names', () => {
    expect(made('request({"n": data.amount}, {"X-Currency": data.currency, "x-lines": string(size(data.items)), "x-empty": ""})')).toEqual({
      kind: 'rendered',
      json: '{"n":150}',
      headers: { 'x-currency': 'EUR', 'x-lines': '2', 'x-empty': '' },
    });
    expect(made('data.paid ? request("yes", {"x-paid": "1"}) : request("no", {})')).toEqual({ kind: 'rendered', json: '"yes"', headers: { 'x-paid': '1' } });
    expect(made('request(null, event.headers)')).toEqual({ kind: 'rendered', json: 'null', headers: { region: 'eu' } });
  });

  it('says who is sending in no header, and sets none that is the protocol\'s or ours', () => {
    for (const name of ['Authorization', 'Cookie', 'Host', 'Content-Length', 'Content-Type', 'Connection', 'Transfer-Encoding', 'Upgrade', 'TE', 'Proxy-Authorization', 'webhook-id', 'Webhook-Signature', 'User-Agent', 'traceparent']) {
      expect(made(`request(1, {"${name}": "x"})`)).toEqual({ kind: 'failed', reason: expect.stringContaining(`the header "${name}" cannot be sent`) });
    }
  });

  it.each([
    ['request(1, {"x-n": 1})', 'the header "x-n" is not a text but of type int'],
    ['request(1, {"x-n": data.nothing})', 'the header "x-n" is not a text but of type null_type'],
    ['request(1, {"x-lines": "a\\r\\nx-other: b"})', 'the header "x-lines" cannot be sent: printable ASCII'],
    ['request(1, {"x-tab": "a\\tb"})', 'the header "x-tab" cannot be sent: printable ASCII'],
    ['request(1, {"x-name": data.name})', 'the header "x-name" cannot be sent: printable ASCII'],
    ['request(1, {"x y": "a"})', 'the header "x y" cannot be sent: a header name'],
    ['request(1, {"": "a"})', 'the header "" cannot be sent: a header name'],
    ['request(1, {"x-a": "1", "X-A": "2"})', 'the header "X-A" is there twice'],
    ['[request(1, {})]', 'request() is only for the whole of what a transform makes'],
    ['request(request(1, {}), {})', 'request() is only for the whole of what a transform makes'],
    ['request(1, data.items)', 'request is not defined for int and list'],
    ['request(1, {}).body', 'the member "body" is not defined for request'],
    ['request(data.total, {})', 'there is no member "total"'],
  ])('fails: %s', (text, reason) => expect(made(text)).toEqual({ kind: 'failed', reason }));

  it('has at most 32 headers, of at most 1,024 characters', () => {
    expect(made(withHeaders(32)).kind).toBe('rendered');
    expect(made(withHeaders(33))).toEqual({ kind: 'failed', reason: 'a request has at most 32 headers of a transform' });
    expect(made(withHeaders(1, 'v'.repeat(1_024))).kind).toBe('rendered');
    expect(made(withHeaders(1, 'v'.repeat(1_025))).kind).toBe('failed');
  });

  it('is no business of a filter', () => {
    expect(compileFilter('request(1, {}) == data')).toMatchObject({ kind: 'refused', message: expect.stringContaining('no function request()') });
  });
});
