import { type Span, spanAt } from '@posthorn/contracts';
import { type Refusal, refuse, shown } from '../acceptance/draft.js';
import { elementsOf, type Members, membersOf } from '../acceptance/json-members.js';

/** RFC 6901, section 3, less the empty one: the whole value is data, not an attribute. */
export const JSON_POINTER = /^(?:\/(?:[^~/]|~[01])*)+$/;

export const tokensOf = (pointer: string): readonly string[] =>
  pointer
    .slice(1)
    .split('/')
    .map((token) => token.replaceAll('~1', '/').replaceAll('~0', '~'));

/** RFC 6901, section 4: no leading zeros, and no `-`, which means an element that is not there yet. */
export const ARRAY_INDEX = /^(?:0|[1-9]\d*)$/;

const QUOTE = 0x22;
const OPEN_BRACKET = 0x5b;
const OPEN_BRACE = 0x7b;

/**
 * A value in a JSON text, found by the bytes, because `JSON.parse` would make one id of 12345678901234567890 and
 * 12345678901234567891. What it holds is looked for once, when it is first asked for. The text has been through `JSON.parse`.
 */
export class JsonValue {
  readonly #text: Buffer;
  #members: Members | undefined;
  #elements: readonly Span[] | undefined;
  readonly #children = new Map<string, JsonValue>();

  constructor(text: Buffer, span: Span = spanAt(text)) {
    this.#text = text.subarray(span.start, span.end);
  }

  /** A string's content, a number or boolean as it is spelled; undefined where there is nothing, or null. */
  scalarAt([token, ...rest]: readonly string[], path: string): string | undefined | Refusal {
    if (token === undefined) return this.#scalar(path);
    const duplicate = this.#isObject ? this.#object.duplicate : undefined;
    if (duplicate !== undefined) return refuse('malformed', `${shown(duplicate)} occurs twice, so ${path} could be either`, path);
    return this.#child(token)?.scalarAt(rest, path);
  }

  get #isObject(): boolean {
    return this.#text[0] === OPEN_BRACE;
  }

  get #object(): Members {
    return (this.#members ??= membersOf(this.#text));
  }

  #child(token: string): JsonValue | undefined {
    const known = this.#children.get(token);
    if (known) return known;
    const span = this.#isObject ? this.#object.spans.get(token) : this.#elementAt(token);
    if (!span) return undefined;
    const child = new JsonValue(this.#text, span);
    this.#children.set(token, child);
    return child;
  }

  #elementAt(token: string): Span | undefined {
    if (this.#text[0] !== OPEN_BRACKET || !ARRAY_INDEX.test(token)) return undefined;
    this.#elements ??= elementsOf(this.#text);
    return this.#elements[Number(token)];
  }

  #scalar(path: string): string | undefined | Refusal {
    const [first] = this.#text;
    if (first === OPEN_BRACE || first === OPEN_BRACKET) return refuse('invalid', `${path} must be a string, a number or a boolean`, path);
    const text = this.#text.toString('utf8');
    if (first === QUOTE) return String(JSON.parse(text));
    return text === 'null' ? undefined : text;
  }
}
