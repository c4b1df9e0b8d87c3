/**
 * Where the members of a JSON object stand in its text.
 *
 * `JSON.parse` says what a producer wrote, but forgets how: 12345678901234567890 becomes 12345678901234567000, `1.0` becomes
 * `1`. An event's data is passed on as it was written, so its bytes must be found in the text. Nothing here validates: the text
 * has been through `JSON.parse`, and what this finds in any other text means nothing (but it always ends).
 */
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
const skipSpace = (text: Uint8Array, from: number): number => {
  let at = from;
  while (at < text.length && (text[at] ?? 0) <= SPACE) at++;
  return at;
};

/** @param from after the opening quote; answers after the closing one */
const skipString = (text: Uint8Array, from: number): number => {
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

/** Offset of the next member or element, or undefined at the end of the object or array. */
const nextFrom = (text: Uint8Array, after: number): number | undefined => {
  let at = skipSpace(text, after);
  if (text[at] === COMMA) at = skipSpace(text, at + 1);
  const byte = text[at];
  return byte === CLOSE_BRACE || byte === CLOSE_BRACKET || byte === undefined ? undefined : at;
};

/** @param end after the closing quote */
const nameAt = (text: Buffer, start: number, end: number): string => {
  const name = text.toString('utf8', start + 1, end - 1);
  return name.includes('\\') ? String(JSON.parse(text.toString('utf8', start, end))) : name;
};

export type Members = {
  readonly spans: ReadonlyMap<string, Span>;
  /** A name that occurs twice: readers disagree on which counts, so nobody should have to choose. */
  readonly duplicate: string | undefined;
};

/** The members of the object that is the whole of `text`. */
export const membersOf = (text: Buffer): Members => {
  const spans = new Map<string, Span>();
  let duplicate: string | undefined;
  let at = nextFrom(text, skipSpace(text, 0) + 1);
  while (at !== undefined) {
    const nameEnd = skipString(text, at + 1);
    const name = nameAt(text, at, nameEnd);
    const colon = skipSpace(text, nameEnd);
    const span = spanAt(text, colon + 1);
    if (spans.has(name)) duplicate ??= name;
    spans.set(name, span);
    at = nextFrom(text, span.end);
  }
  return { spans, duplicate };
};

/** The elements of the array that is the whole of `text`. */
export const elementsOf = (text: Uint8Array): readonly Span[] => {
  const spans: Span[] = [];
  let at = nextFrom(text, skipSpace(text, 0) + 1);
  while (at !== undefined) {
    const span = spanAt(text, at);
    spans.push(span);
    at = nextFrom(text, span.end);
  }
  return spans;
};
