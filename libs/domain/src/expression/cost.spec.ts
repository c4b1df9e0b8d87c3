import { describe, expect, it } from '@jest/globals';
import type { Envelope } from '@posthorn/contracts';
import { REFERENCE } from './cost.js';
import { EventInput } from './event-input.js';
import { admitFilter, admitTransform, compileFilter, compileTransform } from './expression.js';
import { stepsTaken } from './meter.js';

const envelope: Envelope = { specversion: '1.0', id: 'e', tenant: 't', type: 'a', source: '/', time: '2026-03-04T05:06:07Z', acceptedtime: '2026-03-04T05:06:07Z' };
const { items, characters } = REFERENCE;
const text = 'x'.repeat(characters);

const members = () => Object.fromEntries(Array.from({ length: items }, (_, index) => [`k${index}`, index]));

/** An event of the size that costs are told for: what is looked for stands in no list, so that none is left early. */
const data = {
  n: 5,
  text,
  word: 'x',
  texts: Array.from({ length: items }, () => text),
  numbers: Array.from({ length: items }, (_, index) => index),
  orders: Array.from({ length: items }, () => ({ name: text, lines: Array.from({ length: items }, () => ({ sku: text, n: 1 })) })),
  map: members(),
  /** As large as the parts that are compared are taken for. */
  tree: Array.from({ length: 7 }, members),
  same: Array.from({ length: 7 }, members),
  /** As many members as the map, but for the last one the same; and others. */
  maps: Array.from({ length: items }, (_, index) => (index < 6 ? { ...members(), [`k${items - 1}`]: 'x' } : {})),
};
const input = new EventInput(envelope, Buffer.from(JSON.stringify(data)));

const filters = [
  'data.n > 3',
  'event.type == "a" || data.n in [1, 2, 3]',
  'data.text.contains("y")',
  'data.text.contains("yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy")',
  'data.text.indexOf(data.word) == 3 && data.text.substring(3).size() > 0',
  'data.text.matches("^(x|y)+z$")',
  'data.texts.exists(t, t.matches("^y+$"))',
  'data.texts.exists(t, t.startsWith("y") || t.endsWith("y"))',
  'data.texts.all(t, t == data.text)',
  'data.numbers.exists(n, n > 100)',
  'data.numbers.all(n, n in data.numbers)',
  'data.numbers.map(n, n + 1).filter(n, n > 3).size() == 3',
  'data.numbers + data.numbers == data.texts',
  'data.tree == data.same',
  'data.map in data.maps',
  'data.map == data.orders[0] || data.orders[0].lines[0] in data.numbers',
  'data.orders.exists(o, o.lines.exists(l, l.sku == "y"))',
  'data.orders.map(o, o.lines.size()).exists_one(n, n == 1)',
  'data.orders.filter(o, o.name == "y").size() == 0',
  'data.map.exists(k, data.map[k] > 100)',
  '(data.text + data.text).size() > 3 && (data.text + "!").contains("!")',
  'data.text.split("").exists(c, c == "y")',
  'data.texts.join(", ").size() > 3',
  'data.text.replace("x", "yy").trim().lowerAscii().size() > 3',
  '(data.n > 3 ? data.texts : data.numbers).exists(x, x == "y")',
  '[data.text, "a"].exists(t, t + "b" == "c")',
  '[1, 2, 3].map(n, {"n": n, "t": data.text}).all(m, m.t.size() > 0)',
  'has(data.orders[0].name) && data.orders[0].lines[1].n == 2',
];

const transforms = [
  '{"id": event.id, "n": data.n}',
  'data.numbers',
  'data.texts.map(t, t.upperAscii())',
  '{"lines": data.orders.map(o, {"name": o.name, "skus": o.lines.map(l, l.sku)})}',
  'request({"n": data.numbers}, {"x-text": data.word, "x-n": string(data.n)})',
];

describe('the cost of an expression', () => {
  it.each(filters)('of the filter %s is no less than what it takes on the event of reference', (filter) => {
    const admitted = admitFilter(filter);
    const compiled = compileFilter(filter);
    if (compiled.kind === 'refused') throw new Error(compiled.message);
    expect(compiled.filter.judge(input)).not.toHaveProperty('reason');
    expect('cost' in admitted && admitted.cost).toBeGreaterThanOrEqual(stepsTaken());
  });

  it.each(transforms)('of the transform %s likewise', (transform) => {
    const admitted = admitTransform(transform);
    const compiled = compileTransform(transform);
    if (compiled.kind === 'refused') throw new Error(compiled.message);
    expect(compiled.transform.render(input).kind).toBe('rendered');
    expect('cost' in admitted && admitted.cost).toBeGreaterThanOrEqual(stepsTaken());
  });

  it.each([
    ['event.type == "a"', 0],
    ['data.n > 1 && data.text == "x"', 0],
    ['data.numbers.exists(n, n > 1)', items * (1 + 1 + 3)],
    ['data.text.startsWith("x")', 17],
  ])('of %s is %d', (filter, cost) => {
    const admitted = admitFilter(filter);
    expect(admitted.kind === 'compiled' && admitted.cost).toBe(cost);
  });
});

describe('what would run out of steps on an event of ordinary size', () => {
  it.each([
    ['three lists inside of one another', 'data.a.exists(x, x.b.exists(y, y.c.exists(z, z == 1)))', 32],
    ['a search of each text of lists in lists', 'data.a.exists(x, x.b.exists(y, y.contains("a long enough text")))', 32],
    ['texts that double', '[data.a].map(a, a + a).map(b, b + b).map(c, c + c).map(d, d + d).map(e, e + e).map(f, f + f).all(g, g.matches("^(ab?){20}$"))', 101],
  ])('%s, is refused where it exceeds, with the steps', (_, filter, column) => {
    const admitted = admitFilter(filter);
    expect(admitted).toMatchObject({
      kind: 'refused',
      position: { line: 1, column: expect.any(Number) },
      cost: expect.any(Number),
      message: expect.stringMatching(/^This takes too long: up to \d+ steps, of 50000, for an event with lists of 32 items and texts of 256 characters\.$/),
    });
    expect(admitted.kind === 'refused' && admitted.position.column).toBe(column);
    // Whoever has it already keeps it: the bound at run time is what protects.
    expect(compileFilter(filter).kind).toBe('compiled');
  });

  it('may be right for a transform, which has more steps', () => {
    const text = 'data.a.map(x, x.b.map(y, y.name + "/" + x.name))';
    expect(admitFilter(`${text} == []`).kind).toBe('refused');
    expect(admitTransform(text)).toMatchObject({ kind: 'compiled', cost: expect.any(Number) });
    expect(admitTransform('data.a.map(x, x.b.map(y, y.c.map(z, z.d + x)))')).toMatchObject({ kind: 'refused', message: expect.stringContaining('of 200000') });
  });
});
