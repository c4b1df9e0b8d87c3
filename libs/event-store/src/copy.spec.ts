import { describe, expect, it } from '@jest/globals';
import { copyChunks, storable, type Cell } from './copy.js';

const copyText = <Column extends string>(names: readonly Column[], rows: readonly Readonly<Record<Column, Cell>>[]): string =>
  Buffer.concat(copyChunks(names, rows)).toString();

const lineOf = (cell: string | number | Buffer | null): string => copyText(['cell'], [{ cell }]);

describe('COPY text', () => {
  it('separates columns by tabs and rows by line feeds', () => {
    expect(copyText(['a', 'b'], [{ a: 'x', b: 1 }, { a: '', b: null }])).toBe('x\t1\n\t\\N\n');
  });

  it.each([
    ['a backslash', '\\', '\\\\\n'],
    ['what would end the row', 'a\nb\rc\td', 'a\\nb\\rc\\td\n'],
    ['what would be null', '\\N', '\\\\N\n'],
    ['what would end the data', '\\.', '\\\\.\n'],
    ['U+0000, which PostgreSQL does not hold', 'a\0b', 'a\u{FFFD}b\n'],
    ['half a surrogate pair, which UTF-8 does not hold', 'a\u{D800}b', 'a\u{FFFD}b\n'],
  ])('survives %s', (_, cell, line) => {
    expect(lineOf(cell)).toBe(line);
  });

  it('writes bytes in hexadecimal', () => {
    expect(lineOf(Buffer.from([0, 0x5c, 0xff]))).toBe('\\\\x005cff\n');
  });

  it.each([undefined, {}, true])('refuses %s, which a record with the wrong members leads to', (cell) => {
    expect(() => lineOf(cell as never)).toThrow('is no value of a column');
  });

  it('comes in pieces, of which each ends with a row', () => {
    const rows = Array.from({ length: 9 }, (_, n) => ({ n, text: `${n}`.repeat(20_000) }));
    const chunks = copyChunks(['n', 'text'], rows);
    expect(chunks.length).toBe(3);
    expect(Buffer.concat(chunks).toString()).toBe(rows.map(({ n, text }) => `${n}\t${text}\n`).join(''));
    expect(chunks.every((chunk) => chunk.at(-1) === 0x0a)).toBe(true);
  });

  it('leaves an escape within JSON to JSON', () => {
    expect(lineOf(JSON.stringify('\0'))).toBe('"\\\\u0000"\n');
  });
});

describe('a text to compare with', () => {
  it('is changed as it was when stored', () => {
    expect(storable('a\0b')).toBe('a\u{FFFD}b');
  });
});
