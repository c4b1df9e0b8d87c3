import { isUtf8 } from 'node:buffer';
import { about, type Attribute, type Draft, type Names, type Refusal, refuse } from './draft.js';
import { dataOfBytes } from './parse-json.js';

/** CloudEvents binary mode: the attributes are headers, the value is the data. The same on Kafka and HTTP but for the prefix. */
const names = (prefix: 'ce_' | 'ce-'): Names => ({
  specversion: `${prefix}specversion`,
  tenant: `${prefix}tenant`,
  id: `${prefix}id`,
  type: `${prefix}type`,
  source: `${prefix}source`,
  time: `${prefix}time`,
  subject: `${prefix}subject`,
  datacontenttype: 'content-type',
  partitionkey: `${prefix}partitionkey`,
  traceparent: `${prefix}traceparent`,
  headers: `${prefix}headers`,
  context: `${prefix}context`,
});

const kafkaNames = names('ce_');
const httpNames = names('ce-');

const ATTRIBUTES: readonly Attribute[] = [
  'specversion',
  'tenant',
  'id',
  'type',
  'source',
  'time',
  'subject',
  'datacontenttype',
  'partitionkey',
  'traceparent',
  'context',
];

/** Which attribute a header holds; what is none of them holds an extension. */
const attributesByName = (names: Names): ReadonlyMap<string, Attribute> => new Map(ATTRIBUTES.map((attribute) => [names[attribute], attribute]));

const kafkaAttributes = attributesByName(kafkaNames);
const httpAttributes = attributesByName(httpNames);

type Mode<Header> = {
  readonly prefix: 'ce_' | 'ce-';
  readonly names: Names;
  readonly attributes: ReadonlyMap<string, Attribute>;
  readonly textOf: (name: string, header: Header) => string | Refusal;
};

const draftOf = <Header>({ prefix, names, attributes, textOf }: Mode<Header>, headers: Readonly<Record<string, Header | undefined>>, value: Buffer): Draft | Refusal => {
  const found: Partial<Record<Attribute, string>> = {};
  const extensions: [string, string][] = [];
  let bytes = value.length;
  for (const name in headers) {
    const header = headers[name];
    const attribute = attributes.get(name);
    if (header === undefined || (attribute === undefined && !name.startsWith(prefix))) continue;
    const text = textOf(name, header);
    if (typeof text !== 'string') return text;
    bytes += text.length;
    if (attribute !== undefined) found[attribute] = text;
    else extensions.push([name.slice(prefix.length), text]);
  }
  const data = dataOfBytes(value, found.datacontenttype, 'data');
  if (data.kind === 'refused') return { ...data, ...about(found) };
  return {
    kind: 'draft',
    attributes: found,
    names,
    ...(extensions.length > 0 && { extensions: Object.fromEntries(extensions), extensionPrefix: prefix }),
    data: data.bytes,
    value: data.value,
    dataDepth: data.depth,
    contextDepth: 0,
    bytes,
  };
};

export type KafkaHeaders = Readonly<Record<string, Buffer | undefined>>;
export type HttpHeaders = Readonly<Record<string, string | readonly string[] | undefined>>;

/** CloudEvents Kafka binding 1.0, section 3.2: header values are UTF-8. */
const kafkaMode: Mode<Buffer> = {
  prefix: 'ce_',
  names: kafkaNames,
  attributes: kafkaAttributes,
  textOf: (name, header) => (isUtf8(header) ? header.toString('utf8') : refuse('malformed', `${name} is not UTF-8`, name)),
};

/**
 * CloudEvents HTTP binding 1.0, section 3.1.3.2: what is not printable ASCII is percent-encoded UTF-8, except in `content-type`. A value
 * that stands in quotes is what they enclose.
 */
const httpMode: Mode<string | readonly string[]> = {
  prefix: 'ce-',
  names: httpNames,
  attributes: httpAttributes,
  textOf: (name, header) => {
    if (typeof header !== 'string') return refuse('malformed', `${name} occurs twice`, name);
    if (name === httpNames.datacontenttype) return header;
    return percentDecoded(unquoted(header)) ?? refuse('malformed', `${name} is not percent-encoded UTF-8`, name);
  },
};

export const kafkaBinaryDraft = (headers: KafkaHeaders, value: Buffer): Draft | Refusal => draftOf(kafkaMode, headers, value);
export const httpBinaryDraft = (headers: HttpHeaders, body: Buffer): Draft | Refusal => draftOf(httpMode, headers, body);

/** RFC 7230's quoted-string: the binding wants it understood, though nobody should write it. */
const unquoted = (text: string): string =>
  text.length > 1 && text.startsWith('"') && text.endsWith('"') ? text.slice(1, -1).replace(/\\(.)/gs, '$1') : text;

const percentDecoded = (text: string): string | undefined => {
  if (!text.includes('%')) return text;
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined;
  }
};
