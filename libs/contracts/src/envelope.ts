/**
 * An event without its data: CloudEvents 1.0 attributes under their own names, with the Partitioning
 * (`partitionkey`) and Distributed Tracing (`traceparent`) extensions and three of ours (`tenant`, `acceptedtime`, `context`).
 */
export type Envelope = {
  readonly specversion: '1.0';
  readonly id: string;
  readonly tenant: string;
  readonly type: string;
  readonly source: string;
  /** RFC 3339, when the producer says it happened. */
  readonly time: string;
  /**
   * RFC 3339 in UTC with milliseconds, when Posthorn accepted it. Its day is the partition of every audit row about the event;
   * it therefore travels unchanged in every record.
   */
  readonly acceptedtime: string;
  readonly subject?: string;
  /** Media type of the data; absent means application/json. */
  readonly datacontenttype?: string;
  /** The ordering key. */
  readonly partitionkey?: string;
  readonly traceparent?: string;
  /** The producer's own headers for this event. */
  readonly headers?: Readonly<Record<string, string>>;
  /** The value of `current_context` in the `context` payload format. */
  readonly context?: unknown;
  /** Attributes of CloudEvents that mean nothing to us, handed on as they came. */
  readonly extensions?: Readonly<Record<string, Extension>>;
};

/** What CloudEvents lets an attribute be in JSON. */
export type Extension = string | number | boolean;

/** CloudEvents 1.0, "Naming Conventions": lower-case letters and digits, and what it recommends of the length. */
export const EXTENSION_NAME = /^[a-z0-9]{1,20}$/;

/** Limits on what comes in; each is named in the error of whoever exceeds it. */
export const eventLimits = {
  /** Of a whole event, envelope and data. */
  bytes: 256 * 1024,
  /** Nesting of objects and arrays in the data. */
  depth: 64,
  /**
   * Members and elements in an event. The text of one is small, what is made of it is not: 8 MiB of them took 0.6 s to parse, and 180 MB;
   * so many, in an event of the largest size that can be configured, 0.1 s and 10 MB.
   */
  values: 100_000,
  /** The same in a whole batch. */
  batchValues: 400_000,
  id: 256,
  type: 256,
  source: 1024,
  subject: 1024,
  key: 256,
  headers: 32,
  headerBytes: 4096,
  extensions: 32,
  /** Of one extension, as UTF-8. */
  extensionBytes: 4096,
  batch: 1000,
} as const;

/** `json` or `…+json` beneath any type, as CloudEvents takes it (JSON format 1.0, 3.1). */
const JSON_MEDIA_TYPE = /^[^\s/;]+\/(?:[^\s/;]+\+)?json\s*(?:;|$)/i;

export const isJsonMediaType = (mediaType: string | undefined): boolean =>
  mediaType === undefined || mediaType === '' || JSON_MEDIA_TYPE.test(mediaType);

const NEWLINE = 0x0a;
const DATA_MEMBER = ',\n"data":';
const BASE64_MEMBER = ',\n"data_base64":"';

/**
 * A record's value: one JSON object whose last member is the event's data, byte for byte as the producer wrote it, after the
 * only line feed that can precede it (JSON.stringify writes none). Reading the head therefore never parses the data, and
 * writing never re-serialises it: numbers keep their digits, members their order.
 */
export const frame = (head: object, data: Uint8Array, mediaType?: string): Buffer => {
  const text = JSON.stringify(head).slice(0, -1);
  return isJsonMediaType(mediaType)
    ? Buffer.concat([Buffer.from(text + DATA_MEMBER), data, CLOSING_BRACE])
    : Buffer.from(`${text}${BASE64_MEMBER}${Buffer.from(data).toString('base64')}"}`);
};

const CLOSING_BRACE = Buffer.from('}');

export type Framed<Head> = { readonly head: Head; readonly data: Buffer };

/**
 * Splits what `frame` wrote. The head's shape is trusted: only our own services write framed records, and the record's schema
 * header has been checked before. The data is a view of the value, not a copy.
 * @throws {SyntaxError} when the value is not a framed record
 */
export const unframe = <Head>(value: Buffer): Framed<Head> => {
  const line = value.indexOf(NEWLINE);
  if (line < 1) throw new SyntaxError('not a framed record: no data member');
  const head = JSON.parse(`${value.toString('utf8', 0, line - 1)}}`) as Head;
  const dataStart = line + DATA_MEMBER.length - 1;
  if (value.toString('latin1', line, dataStart) === DATA_MEMBER.slice(1)) {
    return { head, data: value.subarray(dataStart, value.length - 1) };
  }
  const base64Start = line + BASE64_MEMBER.length - 1;
  return { head, data: Buffer.from(value.toString('latin1', base64Start, value.length - 2), 'base64') };
};
