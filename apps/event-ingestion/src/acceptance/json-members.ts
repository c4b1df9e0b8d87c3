import { skipSpace, skipString, spanAt, type Span } from '@posthorn/contracts';

/**
 * Where the members of a JSON object stand in its text.
 *
 * `JSON.parse` says what a producer wrote, but forgets how: 12345678901234567890 becomes 12345678901234567000, `1.0` becomes
 * `1`. An event's data is passed on as it was written, so its bytes must be found in the text. The text has been through
 * `JSON.parse`; what this finds in any other means nothing (but it always ends).
 */
const QUOTE = 0x22;
const COMMA = 0x2c;
const OPEN_BRACKET = 0x5b;
const CLOSE_BRACKET = 0x5d;
const OPEN_BRACE = 0x7b;
const CLOSE_BRACE = 0x7d;

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

/** Each value but the first takes a byte of its own and one that parts it from another. */
const BYTES_PER_VALUE = 2;

/** Whether the text has more members and elements than that. Asked before it is parsed; a short one cannot have, and is not looked at. */
export const hasMoreValuesThan = (text: Uint8Array, most: number): boolean => {
  if (text.length <= most * BYTES_PER_VALUE) return false;
  let values = 0;
  let at = 0;
  while (at < text.length && values <= most) {
    const byte = text[at++];
    if (byte === QUOTE) at = skipString(text, at);
    else if (byte === COMMA || byte === OPEN_BRACKET || byte === OPEN_BRACE) values++;
  }
  return values > most;
};
