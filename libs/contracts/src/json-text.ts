/**
 * A JSON text as bytes: where its values stand, and how deeply they are nested.
 *
 * Nothing here validates: the text has been, or will be, through `JSON.parse`, and what this finds in any other text means nothing
 * (but it always ends, and as far as a parser would get it counts every level that the parser sees). Nothing recurses either, so
 * it can be asked before anything that does.
 */

/** A value in a text. */
export type Span = {
  /** Offset of the value's first byte. */
  readonly start: number;
  /** Offset after its last. */
  readonly end: number;
  /** How deeply objects and arrays are nested: 0 for a scalar, 1 for `[]`. */
  readonly depth: number;
};

const QUOTE = 0x22;
const COMMA = 0x2c;
const OPEN_BRACKET = 0x5b;
const BACKSLASH = 0x5c;
const CLOSE_BRACKET = 0x5d;
const OPEN_BRACE = 0x7b;
const CLOSE_BRACE = 0x7d;
const SPACE = 0x20;

/** JSON's white space is the space and three control characters, and a control character stands nowhere else. */
export const skipSpace = (text: Uint8Array, from: number): number => {
  let at = from;
  while (at < text.length && (text[at] ?? 0) <= SPACE) at++;
  return at;
};

/** @param from after the opening quote; answers after the closing one */
export const skipString = (text: Uint8Array, from: number): number => {
  let at = from;
  while (at < text.length) {
    const byte = text[at++];
    if (byte === QUOTE) break;
    if (byte === BACKSLASH) at++;
  }
  return at;
};

const skipScalar = (text: Uint8Array, from: number): number => {
  let at = from;
  while (at < text.length) {
    const byte = text[at] ?? 0;
    if (byte <= SPACE || byte === COMMA || byte === CLOSE_BRACE || byte === CLOSE_BRACKET) break;
    at++;
  }
  return at;
};

/** The value that begins at or, after white space, behind `from`. */
export const spanAt = (text: Uint8Array, from = 0): Span => {
  const start = skipSpace(text, from);
  const first = text[start];
  if (first === QUOTE) return { start, end: skipString(text, start + 1), depth: 0 };
  if (first !== OPEN_BRACE && first !== OPEN_BRACKET) return { start, end: skipScalar(text, start), depth: 0 };

  let at = start + 1;
  let open = 1;
  let depth = 1;
  while (open > 0 && at < text.length) {
    const byte = text[at++];
    if (byte === QUOTE) at = skipString(text, at);
    else if (byte === OPEN_BRACE || byte === OPEN_BRACKET) {
      open++;
      if (open > depth) depth = open;
    } else if (byte === CLOSE_BRACE || byte === CLOSE_BRACKET) open--;
  }
  return { start, end: at, depth };
};
