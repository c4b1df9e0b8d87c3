import { isJsonMediaType } from '@posthorn/contracts';
import { z } from 'zod';
import { attributeChecks } from '../acceptance/attributes.js';
import type { Attribute } from '../acceptance/draft.js';
import { JSON_POINTER } from './json-pointer.js';

/** What of a record, beside headers and value, an attribute can be. */
const recordPart = z.enum(['key', 'timestamp', 'topic'], 'must be key, timestamp or topic');
export type RecordPart = z.infer<typeof recordPart>;

/** Where an attribute of the event is found. */
export type Source =
  | { readonly kind: 'header'; readonly name: string }
  | { readonly kind: 'pointer'; readonly pointer: string }
  | { readonly kind: 'record'; readonly part: RecordPart }
  | { readonly kind: 'constant'; readonly text: string };

const checkOf = new Map(attributeChecks);

/** What makes sense for an attribute, beside a header. */
type Fitting = { readonly pointer?: false; readonly parts: readonly RecordPart[]; readonly constant?: false };

const given = z
  .strictObject(
    {
      header: z.string('must be the name of a header').min(1, 'must not be empty'),
      pointer: z.string('must be a JSON pointer').regex(JSON_POINTER, 'must be a JSON pointer (RFC 6901), such as /order/id'),
      record: recordPart,
      constant: z.string('must be a string'),
    },
    { error: ({ code, input }) => (code !== 'invalid_type' ? undefined : input === undefined ? 'is required' : 'must be an object, such as {"header":"x-id"}') },
  )
  .partial();

const sourceOf = ({ header, pointer, record, constant }: z.infer<typeof given>): Source | undefined => {
  if (header !== undefined) return { kind: 'header', name: header };
  if (pointer !== undefined) return { kind: 'pointer', pointer };
  if (record !== undefined) return { kind: 'record', part: record };
  return constant === undefined ? undefined : { kind: 'constant', text: constant };
};

/** `{"header": …}`, `{"pointer": …}`, `{"record": …}` or `{"constant": …}`, where the last two make sense for the attribute. */
const source = (attribute: Attribute, { pointer, parts, constant }: Fitting) =>
  given.transform((named, context): Source => {
    const found = Object.keys(named).length === 1 ? sourceOf(named) : undefined;
    const refuse = (message: string, ...path: string[]): never => {
      context.issues.push({ code: 'custom', message, path, input: named });
      return z.NEVER;
    };
    if (!found) return refuse('must have one member: header, pointer, record or constant');
    if (found.kind === 'record' && !parts.includes(found.part)) {
      return refuse(parts.length === 0 ? 'cannot be a part of the record' : `must be ${parts.join(' or ')}`, 'record');
    }
    if (found.kind === 'pointer' && pointer === false) return refuse('cannot be in the data that it tells how to read', 'pointer');
    if (found.kind !== 'constant') return found;
    if (constant === false) return refuse('cannot be the same for every event', 'constant');
    const problem = checkOf.get(attribute)?.(found.text);
    return problem === undefined ? found : refuse(problem, 'constant');
  });

const mapping = z
  .strictObject(
    {
      tenant: source('tenant', { parts: ['key', 'topic'] }),
      type: source('type', { parts: ['key', 'topic'] }),
      id: source('id', { parts: ['key'], constant: false }).optional(),
      time: source('time', { parts: ['timestamp'], constant: false }).optional(),
      source: source('source', { parts: ['key', 'topic'] }).optional(),
      subject: source('subject', { parts: ['key', 'topic'] }).optional(),
      key: source('partitionkey', { parts: ['key', 'topic'] }).optional(),
      content_type: source('datacontenttype', { pointer: false, parts: [] }).optional(),
    },
    'must be an object',
  )
  .superRefine((attributes, context) => {
    const type = attributes.content_type;
    if (type?.kind !== 'constant' || isJsonMediaType(type.text)) return;
    for (const [attribute, { kind }] of Object.entries(attributes)) {
      if (kind === 'pointer') context.addIssue({ code: 'custom', path: [attribute, 'pointer'], message: 'needs JSON, which content_type is not' });
    }
  });

/** How the envelope is made of a record whose value is the data. */
export type Mapping = z.infer<typeof mapping>;

const TOPIC = /^(?!\.{1,2}$)[\w.-]{1,249}$/;

const binding = z.strictObject(
  {
    topic: z.string('must be the name of a topic').regex(TOPIC, 'must be a Kafka topic: 1 to 249 letters, digits, dots, underscores and hyphens'),
    event: mapping.optional(),
  },
  'must be an object',
);

/** A topic of others that events are read from; without a mapping, in the forms of `events.inbound`. */
export type Binding = z.infer<typeof binding>;

const bindings = z.array(binding, 'must be an array of bindings').superRefine((all, context) => {
  const first = new Map<string, number>();
  for (const [index, { topic }] of all.entries()) {
    const before = first.get(topic);
    if (before === undefined) first.set(topic, index);
    else context.addIssue({ code: 'custom', path: [index, 'topic'], message: `is bound already, by [${before}]` });
  }
});

/** As it stands in the environment. */
export const inboundBindings = z
  .string()
  .default('[]')
  .transform((text, context): unknown => {
    try {
      return JSON.parse(text);
    } catch {
      context.addIssue('must be JSON');
      return z.NEVER;
    }
  })
  .pipe(bindings);
