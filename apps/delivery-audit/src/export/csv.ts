/** What a cell holds: nothing is an empty one, and what is no text is written as JSON. */
export type Cell = unknown;

/** Makes RFC 4180 demand quotes: a comma, a quote, the end of a line. */
const NEEDS_QUOTES = /[",\r\n]/;

/** What spreadsheets take for the beginning of a formula, also behind blanks, and as wide as an ideogram. What is a number is none. */
const FORMULA = /^[\s]*[=+\-@＝＋－＠\t\r]/;
const NUMBER = /^-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?$/;

const textOf = (cell: Cell): string => {
  if (cell === undefined || cell === null) return '';
  return typeof cell === 'string' ? cell : JSON.stringify(cell);
};

/** Texts come from strangers: one that a spreadsheet would compute gets an apostrophe before it, which shows it as it is. */
const harmless = (text: string): string => (FORMULA.test(text) && !NUMBER.test(text) ? `'${text}` : text);

const fieldOf = (cell: Cell): string => {
  const text = harmless(textOf(cell));
  return NEEDS_QUOTES.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
};

/** A record of a CSV file (RFC 4180), with its line end. */
export const csvLine = (cells: readonly Cell[]): string => `${cells.map(fieldOf).join(',')}\r\n`;
