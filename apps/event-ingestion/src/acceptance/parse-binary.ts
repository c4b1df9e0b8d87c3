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

const draftOf = (attributes: Partial<Record<Attribute, string>>, names: Names, value: Buffer): Draft | Refusal => {
  const data = dataOfBytes(value, attributes.datacontenttype, 'data');
  if (data.kind === 'refused') return { ...data, ...about(attributes) };
  let bytes = value.length;
  for (const text of Object.values(attributes)) bytes += text.length;
  return { kind: 'draft', attributes, names, data: data.bytes, dataDepth: data.depth, contextDepth: 0, bytes };
};

export type KafkaHeaders = Readonly<Record<string, Buffer | undefined>>;
export type HttpHeaders = Readonly<Record<string, string | readonly string[] | undefined>>;

/** CloudEvents Kafka binding 1.0, section 3.2: header values are UTF-8. */
export const kafkaBinaryDraft = (headers: KafkaHeaders, value: Buffer): Draft | Refusal => {
  const attributes: Partial<Record<Attribute, string>> = {};
  for (const attribute of ATTRIBUTES) {
    const name = kafkaNames[attribute];
    const header = headers[name];
    if (header === undefined) continue;
    if (!isUtf8(header)) return refuse('malformed', `${name} is not UTF-8`, name);
    attributes[attribute] = header.toString('utf8');
  }
  return draftOf(attributes, kafkaNames, value);
};

/** CloudEvents HTTP binding 1.0, section 3.1.3.2: what is not printable ASCII is percent-encoded UTF-8, except in `content-type`. */
export const httpBinaryDraft = (headers: HttpHeaders, body: Buffer): Draft | Refusal => {
  const attributes: Partial<Record<Attribute, string>> = {};
  for (const attribute of ATTRIBUTES) {
    const name = httpNames[attribute];
    const header = headers[name];
    if (header === undefined) continue;
    if (typeof header !== 'string') return refuse('malformed', `${name} occurs twice`, name);
    const text = attribute === 'datacontenttype' ? header : percentDecoded(header);
    if (text === undefined) return refuse('malformed', `${name} is not percent-encoded UTF-8`, name);
    attributes[attribute] = text;
  }
  return draftOf(attributes, httpNames, body);
};

const percentDecoded = (text: string): string | undefined => {
  if (!text.includes('%')) return text;
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined;
  }
};
