import { finished } from 'node:stream/promises';
import type { ClientBase } from 'pg';
import copyStreams from 'pg-copy-streams';

export type Cell = string | number | Buffer | null;

const REPLACEMENT = '\u{FFFD}';

/** PostgreSQL's text holds no U+0000: it is kept as U+FFFD, here and in whatever is compared with a stored text. */
export const storable = (text: string): string => (text.includes('\0') ? text.replaceAll('\0', REPLACEMENT) : text);

// oxlint-disable-next-line no-control-regex -- U+0000 is one of the four that must not pass
const SPECIAL = /[\\\n\r\t\0]/;

/** One character at a time, each in one quick search: few texts have any, those that do often have many. */
const escape = (text: string): string =>
  SPECIAL.test(text)
    ? storable(text).replaceAll('\\', '\\\\').replaceAll('\n', '\\n').replaceAll('\r', '\\r').replaceAll('\t', '\\t')
    : text;

const encode = (cell: Cell): string => {
  if (cell === null) return '\\N';
  if (typeof cell === 'string') return escape(cell);
  if (typeof cell === 'number') return String(cell);
  if (Buffer.isBuffer(cell)) return `\\\\x${cell.toString('hex')}`;
  // The types say that this cannot be; but they were promised by another service's record.
  throw new TypeError(`${typeof cell} is no value of a column`);
};

/** Characters of a chunk, at least: what is encoded at once is held twice for a moment. */
const CHUNK = 65_536;

/**
 * Rows in COPY's text format (PostgreSQL, "COPY", "File Formats"), in pieces. A lone surrogate becomes U+FFFD as the text becomes UTF-8;
 * within JSON it is an escape already and stays.
 * @throws {TypeError} when a row lacks a column, or has what no column takes
 */
export const copyChunks = <Column extends string>(names: readonly Column[], rows: readonly Readonly<Record<Column, Cell>>[]): readonly Buffer[] => {
  const chunks: Buffer[] = [];
  let text = '';
  for (const row of rows) {
    let separator = '';
    for (const name of names) {
      text += separator + encode(row[name]);
      separator = '\t';
    }
    text += '\n';
    if (text.length < CHUNK) continue;
    chunks.push(Buffer.from(text));
    text = '';
  }
  if (text !== '') chunks.push(Buffer.from(text));
  return chunks;
};

/** Adds rows to a table, in the quickest way there is. All of them or none. */
export const copyRows = async <Column extends string>(
  client: ClientBase,
  table: string,
  names: readonly Column[],
  rows: readonly Readonly<Record<Column, Cell>>[],
): Promise<void> => {
  if (rows.length === 0) return;
  const stream = client.query(copyStreams.from(`copy ${table} (${names.join(', ')}) from stdin`));
  for (const chunk of copyChunks(names, rows)) stream.write(chunk);
  stream.end();
  await finished(stream);
};
