import { describe, expect, it } from '@jest/globals';
import { spanAt } from '@posthorn/contracts';
import { elementsOf, hasMoreValuesThan, membersOf } from './json-members.js';
import { randomJsonText, seededRandom } from './random-json.js';

const SEEDS = 400;

const textOf = (bytes: Buffer, { start, end }: { start: number; end: number }): string => bytes.toString('utf8', start, end);

const depthOf = (value: unknown): number =>
  typeof value === 'object' && value !== null ? 1 + Math.max(0, ...Object.values(value).map(depthOf)) : 0;

const countOf = (value: unknown): number =>
  typeof value === 'object' && value !== null ? Object.values(value).reduce<number>((sum, member) => sum + 1 + countOf(member), 0) : 0;

describe('hasMoreValuesThan', () => {
  it.each(Array.from({ length: 100 }, (_, seed) => seed))('calls nothing too many that is not, and nothing few that is twice as many, with seed %i', (seed) => {
    const text = Buffer.from(`[0,${randomJsonText(seededRandom(seed))}]`);
    const count = countOf(JSON.parse(text.toString()));
    // An empty object is counted as if it held something.
    expect(hasMoreValuesThan(text, 2 * count + 1)).toBe(false);
    expect(hasMoreValuesThan(text, Math.ceil(count / 2) - 1)).toBe(true);
  });

  it('counts no commas within strings', () => {
    expect(hasMoreValuesThan(Buffer.from(`["${',['.repeat(9)}\\",",0]`), 2)).toBe(false);
    expect(hasMoreValuesThan(Buffer.from('[0,0,0]'), 2)).toBe(true);
  });
});

describe('membersOf', () => {
  it('finds values as they were written', () => {
    const text = Buffer.from(' { "n" : 12345678901234567890 ,"x":1.0,"s":"é\\u00e9\\"}", "o":{"b":1,"a":[2, 3]} , "t":true}\n');
    const { spans, duplicate } = membersOf(text);
    expect([...spans].map(([name, span]) => [name, textOf(text, span)])).toEqual([
      ['n', '12345678901234567890'],
      ['x', '1.0'],
      ['s', '"é\\u00e9\\"}"'],
      ['o', '{"b":1,"a":[2, 3]}'],
      ['t', 'true'],
    ]);
    expect(duplicate).toBeUndefined();
  });

  it('sees that two spellings are one name', () => {
    expect(membersOf(Buffer.from('{"data":1,"x":0,"d\\u0061ta":2}')).duplicate).toBe('data');
  });

  it('is not misled by a name that ends in an escaped backslash', () => {
    expect([...membersOf(Buffer.from('{"a\\\\":1,"b":2}')).spans.keys()]).toEqual(['a\\', 'b']);
  });

  it('takes an empty object for one', () => {
    expect(membersOf(Buffer.from('{ }')).spans.size).toBe(0);
  });

  it('ends on texts that are not JSON', () => {
    for (const text of ['', '{', '{"', '{"a', '{"a"', '{"a":', '{"a":"\\', '{"a":[', '[[[', '}', '{,,,', '"']) {
      expect(membersOf(Buffer.from(text)).spans.size).toBeLessThan(4);
      expect(elementsOf(Buffer.from(text)).length).toBeLessThan(4);
    }
  });
});

describe('the spans of random JSON', () => {
  it.each(Array.from({ length: SEEDS }, (_, seed) => seed))('are what JSON.parse reads, with seed %i', (seed) => {
    const text = Buffer.from(randomJsonText(seededRandom(seed)));
    const value: unknown = JSON.parse(text.toString());
    const span = spanAt(text);
    expect(JSON.parse(textOf(text, span))).toEqual(value);
    expect(textOf(text, span)).toBe(text.toString().trim());
    expect(span.depth).toBe(depthOf(value));

    // Inside an object and an array, so that every value is met as a member and as an element.
    const object = Buffer.from(`{"first":${text},"__proto__":${text},"last":0}`);
    const { spans, duplicate } = membersOf(object);
    expect([...spans].map(([name, member]) => [name, textOf(object, member)])).toEqual([
      ['first', text.toString().trim()],
      ['__proto__', text.toString().trim()],
      ['last', '0'],
    ]);
    expect(duplicate).toBeUndefined();
    const array = Buffer.from(`[${text},${text}]`);
    expect(elementsOf(array).map((element) => textOf(array, element))).toEqual([text.toString().trim(), text.toString().trim()]);
  });
});
