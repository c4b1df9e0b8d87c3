import { isUtf8 } from 'node:buffer';
import { isJsonMediaType, pathText } from '@posthorn/contracts';
import type { IncomingRecord } from '@posthorn/kafka';
import { isMediaType } from '../acceptance/attributes.js';
import { about, type Attribute, type Draft, type Names, type Refusal, refuse } from '../acceptance/draft.js';
import { TOMBSTONE, type Tombstone } from '../acceptance/forms.js';
import { dataOfBytes, plainNames } from '../acceptance/parse-json.js';
import type { Mapping, Source } from './bindings.js';
import { ARRAY_INDEX, JsonValue, tokensOf } from './json-pointer.js';

export type BoundRecord = Pick<IncomingRecord, 'topic' | 'key' | 'value' | 'headers' | 'timestampMs'>;

/** Text, nothing, or why what is there will not do. */
type Found = string | undefined | Refusal;

/** How one attribute is read, and what it is called when it is wrong: the header, or the place in the data. */
type Reading = {
  readonly attribute: Attribute;
  readonly name: string;
  readonly read: (record: BoundRecord, json: JsonValue | undefined) => Found;
};

const utf8 = (bytes: Buffer | null | undefined, name: string): Found => {
  if (bytes === null || bytes === undefined) return undefined;
  return isUtf8(bytes) ? bytes.toString('utf8') : refuse('malformed', `${name} is not UTF-8`, name);
};

/** A record's clock has 64 bits, a `Date` not as many. */
const MOST_MS = 8.64e15;

/** Records of very old clients have no timestamp: -1. What is no date is refused as no time, under its name. */
const timestampOf = ({ timestampMs }: BoundRecord): Found => {
  if (timestampMs <= 0) return undefined;
  return timestampMs > MOST_MS ? 'out of range' : new Date(timestampMs).toISOString();
};

const readingOf = (attribute: Attribute, member: string, source: Source): Reading => {
  switch (source.kind) {
    case 'header': {
      const { name } = source;
      return { attribute, name, read: ({ headers }) => utf8(headers[name], name) };
    }
    case 'pointer': {
      const tokens = tokensOf(source.pointer);
      const name = pathText(['data', ...tokens.map((token) => (ARRAY_INDEX.test(token) ? Number(token) : token))]);
      return { attribute, name, read: (_, json) => json?.scalarAt(tokens, name) };
    }
    case 'record': {
      const name = source.part;
      const read = { key: ({ key }: BoundRecord) => utf8(key, name), timestamp: timestampOf, topic: ({ topic }: BoundRecord) => topic }[name];
      return { attribute, name, read };
    }
    case 'constant':
      return { attribute, name: member, read: () => source.text };
  }
};

/** A binding's names of the attributes that can be found anywhere, beside the envelope's. */
const ATTRIBUTES = [
  ['tenant', 'tenant'],
  ['type', 'type'],
  ['id', 'id'],
  ['source', 'source'],
  ['time', 'time'],
  ['subject', 'subject'],
  ['key', 'partitionkey'],
] as const;

/** Without the one a record would be published for the default tenant, without the other for nobody. */
const REQUIRED: ReadonlySet<Attribute> = new Set(['tenant', 'type']);

/**
 * Reads records as a mapping says: the value is the data, whole and as it is, and the attributes are found where the mapping points.
 * What is found nowhere is absent.
 */
export const boundReader = (mapping: Mapping): ((record: BoundRecord) => Draft | Refusal | Tombstone) => {
  const contentType = mapping.content_type && readingOf('datacontenttype', 'content_type', mapping.content_type);
  const readings = ATTRIBUTES.flatMap(([member, attribute]) => {
    const source = mapping[member];
    return source ? [readingOf(attribute, member, source)] : [];
  });
  const names: Names = {
    ...plainNames,
    ...Object.fromEntries([...readings, ...(contentType ? [contentType] : [])].map(({ attribute, name }) => [attribute, name])),
  };

  return (record) => {
    const { value } = record;
    if (value === null) return TOMBSTONE;
    const said = contentType?.read(record, undefined);
    const mediaType = isMediaType(said) ? said : undefined;
    const data = typeof said === 'object' ? said : dataOfBytes(value, mediaType, 'data');
    const json = data.kind === 'data' && isJsonMediaType(mediaType) ? new JsonValue(data.bytes) : undefined;

    const attributes: Partial<Record<Attribute, string>> = {};
    if (typeof said === 'string') attributes.datacontenttype = said;
    let bytes = value.length;
    let refusal: Refusal | undefined;
    for (const { attribute, name, read } of readings) {
      const found = read(record, json);
      if (typeof found === 'string') {
        attributes[attribute] = found;
        bytes += found.length;
      } else if (found !== undefined) refusal ??= found;
      else if (REQUIRED.has(attribute)) refusal ??= refuse('invalid', `${name} is required`, name);
    }
    if (data.kind === 'refused') return { ...about(attributes), ...data };
    if (refusal) return { ...about(attributes), ...refusal };
    return { kind: 'draft', attributes, names, data: data.bytes, value: data.value, dataDepth: data.depth, contextDepth: 0, bytes };
  };
};
