import { type Envelope, eventLimits, type Extension, frame, REGISTRY_POSITION_HEADER, SCHEMA_HEADER, SCHEMA_VERSION, validTraceparent } from '@posthorn/contracts';
import { attributeChecks, extensionCheck } from './attributes.js';
import { about, type Draft, type Refusal, refuse, shown } from './draft.js';

/** An event that may enter, as far as it can be judged by itself. */
export type Accepted = {
  readonly kind: 'accepted';
  readonly envelope: Envelope;
  readonly data: Buffer;
  /** What the tenant is called in the event's form, for the refusal when there is none of that name; likewise the type. */
  readonly tenantPath: string;
  readonly typePath: string;
  /** Whether it can come again under its id: not when nobody but us knows that. */
  readonly isRepeatable: boolean;
  /** How far whoever judges or matches the event must have read the registry. */
  readonly registryPosition?: string;
};

/**
 * An accepted event with its data parsed, for the schema: undefined when it is not JSON. Not kept while Kafka is waited for, since it may
 * take many times the room of the data.
 */
export type Acceptable = Accepted & { readonly value: unknown };

export type Verdict = Acceptable | Refusal;

/** What the door knows and the producer need not say. */
export type Circumstances = {
  /** Of the request's path; an event that names another is refused. Absent on Kafka, where the event says it. */
  readonly tenant?: string | undefined;
  /** Where Posthorn takes the event to have been accepted; the same whenever a record is read again. */
  readonly acceptedMs: number;
  /** For an event without one. */
  readonly newId: () => string;
  /** Whether that is the same when the event comes again. */
  readonly isNewIdStable?: boolean;
  readonly source: string;
  /** Of the record or request: the producer's span, and so nearer than the one in the event. */
  readonly traceparent?: unknown;
  /** Of the record or request: what the registry answered to the producer's last write. */
  readonly registryPosition?: unknown;
  readonly maxBytes: number;
};

/** Of a Kafka event that names none. */
export const DEFAULT_TENANT = 'default';

/** Anything else is ignored, as a broken `traceparent` is: it is about when, not about what. */
const POSITION = /^\d{1,15}$/;

const given = (value: unknown): string | undefined => (typeof value === 'string' ? value : undefined);

const tooLarge = ({ data, bytes }: Draft, maxBytes: number): Refusal | undefined => {
  if (bytes <= maxBytes) return undefined;
  return data.length > maxBytes
    ? refuse('too_large', `data has ${data.length} bytes; an event may have ${maxBytes}`, 'data')
    : refuse('too_large', `the event has ${bytes} bytes; it may have ${maxBytes}`);
};

const tooDeep = ({ dataDepth, contextDepth, names }: Draft): Refusal | undefined => {
  if (dataDepth > eventLimits.depth) return refuse('too_deep', `data is nested deeper than ${eventLimits.depth}`, 'data');
  if (contextDepth > eventLimits.depth) {
    return refuse('too_deep', `${names.context} is nested deeper than ${eventLimits.depth}`, names.context);
  }
  return undefined;
};

/** `1e20` is written out when the envelope is: what was small may have become more, beside its data, than a record holds. */
const swollenContext = ({ attributes, names, contextDepth, data }: Draft, maxBytes: number): Refusal | undefined =>
  contextDepth > 0 && Buffer.byteLength(JSON.stringify(attributes.context)) + data.length > maxBytes
    ? refuse('too_large', `${names.context} written out makes the event larger than ${maxBytes} bytes`, names.context)
    : undefined;

const wrongAttribute = ({ attributes, names }: Draft, tenant: string | undefined): Refusal | undefined => {
  for (const [attribute, check] of attributeChecks) {
    const value = attributes[attribute];
    // A null is how many serialisers write "none", and CloudEvents says so too.
    if (value === undefined || value === null) continue;
    const problem = check(value);
    if (problem !== undefined) return refuse('invalid', `${names[attribute]} ${problem}`, names[attribute]);
  }
  if (given(attributes.type) === undefined) return refuse('invalid', `${names.type} is required`, names.type);
  if (tenant !== undefined && (given(attributes.tenant) ?? tenant) !== tenant) {
    return refuse('invalid', `${names.tenant} must be ${tenant}, as in the path, or absent`, names.tenant);
  }
  return undefined;
};

/** A null says that there is none, as it does of attributes. */
const extensionsOf = ({ extensions = {} }: Draft): readonly (readonly [string, unknown])[] =>
  Object.entries(extensions).filter(([, value]) => value !== null);

const wrongExtension = (draft: Draft): Refusal | undefined => {
  if (draft.extensions === undefined) return undefined;
  const extensions = extensionsOf(draft);
  if (extensions.length > eventLimits.extensions) return refuse('invalid', `an event may have ${eventLimits.extensions} extensions, not ${extensions.length}`);
  for (const [name, value] of extensions) {
    const problem = extensionCheck(name, value);
    const path = shown(`${draft.extensionPrefix ?? ''}${name}`);
    if (problem !== undefined) return refuse('invalid', `${path} ${problem}`, path);
  }
  return undefined;
};

const headersOf = (value: unknown): Record<string, string> | undefined =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
    ? Object.fromEntries(Object.entries(value).map(([name, content]) => [name, String(content)]))
    : undefined;

const tenantOf = ({ attributes }: Draft, { tenant }: Circumstances): string =>
  tenant ?? given(attributes.tenant) ?? DEFAULT_TENANT;

/**
 * Judges an event by itself, the same way whichever door it came through. What the registry says of its tenant and its type is asked
 * afterwards, because the answer may take a moment.
 */
export const accept = (draft: Draft, circumstances: Circumstances): Verdict => {
  const { attributes } = draft;
  const refusal =
    tooLarge(draft, circumstances.maxBytes) ??
    tooDeep(draft) ??
    swollenContext(draft, circumstances.maxBytes) ??
    wrongAttribute(draft, circumstances.tenant) ??
    wrongExtension(draft);
  if (refusal) return { ...about({ tenant: tenantOf(draft, circumstances), id: attributes.id }), ...refusal };

  const acceptedtime = new Date(circumstances.acceptedMs).toISOString();
  const registryPosition = given(circumstances.registryPosition);
  return {
    kind: 'accepted',
    envelope: {
      specversion: '1.0',
      id: given(attributes.id) ?? circumstances.newId(),
      tenant: tenantOf(draft, circumstances),
      type: given(attributes.type) ?? '',
      source: given(attributes.source) ?? circumstances.source,
      time: given(attributes.time) ?? acceptedtime,
      acceptedtime,
      subject: given(attributes.subject),
      datacontenttype: given(attributes.datacontenttype),
      partitionkey: given(attributes.partitionkey),
      traceparent: validTraceparent(circumstances.traceparent) ?? validTraceparent(attributes.traceparent),
      headers: headersOf(attributes.headers),
      context: attributes.context ?? undefined,
      // Checked above: none of them is anything else.
      extensions: draft.extensions && (Object.fromEntries(extensionsOf(draft)) as Record<string, Extension>),
    },
    data: draft.data,
    value: draft.value,
    tenantPath: draft.names.tenant,
    typePath: draft.names.type,
    isRepeatable: circumstances.isNewIdStable === true || given(attributes.id) !== undefined,
    ...(registryPosition !== undefined && POSITION.test(registryPosition) && { registryPosition }),
  };
};

/** A record of `events.accepted`, without its topic. */
export const acceptedRecord = ({ envelope, data, registryPosition }: Accepted) => ({
  key: envelope.partitionkey ?? `${envelope.tenant}/${envelope.id}`,
  value: frame(envelope, data, envelope.datacontenttype),
  headers: {
    [SCHEMA_HEADER]: SCHEMA_VERSION,
    ...(envelope.traceparent !== undefined && { traceparent: envelope.traceparent }),
    ...(registryPosition !== undefined && { [REGISTRY_POSITION_HEADER]: registryPosition }),
  },
});
