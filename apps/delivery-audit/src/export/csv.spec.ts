import { describe, expect, it } from '@jest/globals';
import * as fc from 'fast-check';
import { csvLine } from './csv.js';

/** A reader of RFC 4180, to the letter. */
const parsed = (text: string): readonly (readonly string[])[] => {
  const lines: string[][] = [[]];
  const field = /(?:"((?:[^"]|"")*)"|([^",\r\n]*))(,|\r\n)/y;
  while (field.lastIndex < text.length) {
    const found = field.exec(text);
    if (found === null) throw new SyntaxError('not CSV');
    const [, quoted, plain = '', end] = found;
    lines.at(-1)?.push(quoted?.replaceAll('""', '"') ?? plain);
    if (end === '\r\n') lines.push([]);
  }
  return lines.slice(0, -1);
};

describe('a line of CSV', () => {
  it('is read as it was meant by whoever reads RFC 4180, but for the apostrophe before what looks like a formula', () => {
    const text = fc.string({ unit: fc.constantFrom('a', ',', '"', '\r', '\n', ' ', 'é', '=', '-', '1') });
    fc.assert(
      fc.property(fc.array(fc.array(text, { minLength: 1, maxLength: 4 }), { maxLength: 5 }), (rows) => {
        const read = parsed(rows.map(csvLine).join(''));
        expect(read.map((row) => row.map((cell) => cell.replace(/^'(?=\s*[=+\-@\t\r])/, '')))).toEqual(rows);
      }),
      { numRuns: 500 },
    );
  });

  it('holds nothing as nothing, numbers and truths as such, and what has parts as JSON', () => {
    expect(csvLine([undefined, null, '', 0, -1.5, true, { a: 'x,"y"' }, ['b']])).toBe(',,,0,-1.5,true,"{""a"":""x,\\""y\\""""}","[""b""]"\r\n');
  });

  it.each(['=1+1', '+1+1', '-1+1', '@SUM(A1)', '\t=1', '\r=1', ' =1', '\n=1', '=HYPERLINK("http://x")', '＝1+1', '＠SUM(A1)'])('is no formula where its cell is %j', (text) => {
    expect(parsed(csvLine([text]))).toEqual([[`'${text}`]]);
  });

  it.each(['-1', '-1.50', '-2e-7', '1', 'a=1', '{"a":"=1"}', "'"])('leaves %j as it is', (text) => {
    expect(parsed(csvLine([text]))).toEqual([[text]]);
  });
});
