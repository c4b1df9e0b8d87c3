import type { RejectionCode } from '@posthorn/contracts';
import type { Fault } from '@posthorn/domain';

/** What a producer can say about an event, under the envelope's names. */
export type Attribute =
  | 'specversion'
  | 'tenant'
  | 'id'
  | 'type'
  | 'source'
  | 'time'
  | 'subject'
  | 'datacontenttype'
  | 'partitionkey'
  | 'traceparent'
  | 'headers'
  | 'context';

/** What the attributes are called in one form, so that whoever gets one wrong is told the name they wrote. */
export type Names = Readonly<Record<Attribute, string>>;

/** An event as read from one of its forms: its data found and well-formed, its attributes not looked at yet. */
export type Draft = {
  readonly kind: 'draft';
  readonly attributes: Readonly<Partial<Record<Attribute, unknown>>>;
  readonly names: Names;
  /** Attributes of CloudEvents that are none of ours. */
  readonly extensions?: Readonly<Record<string, unknown>>;
  /** What stands before an extension's name in this form. */
  readonly extensionPrefix?: 'ce_' | 'ce-' | 'extensions.';
  /** As the producer wrote it. */
  readonly data: Buffer;
  /** What `JSON.parse` makes of it; undefined when it is not JSON. */
  readonly value: unknown;
  readonly dataDepth: number;
  readonly contextDepth: number;
  /** Size of the whole event in the form it came in. */
  readonly bytes: number;
};

/** Why an event is not accepted. */
export type Refusal = {
  readonly kind: 'refused';
  readonly code: RejectionCode;
  readonly message: string;
  /** The member or header that is wrong; absent when it is the whole. */
  readonly path?: string;
  /** Each place where the data is not what its schema wants. */
  readonly errors?: readonly Fault[];
  /** What is known of the event in spite of all. */
  readonly tenant?: string;
  readonly eventId?: string;
};

const SHOWN_CHARACTERS = 256;
const MESSAGE_CHARACTERS = 1024;

/** A name or value that nobody has checked yet, short enough to be shown. */
export const shown = (text: string): string => text.slice(0, SHOWN_CHARACTERS);

/** Whatever they quote: a rejection that no record can hold could never be written, and its record would be read again for ever. */
export const refuse = (code: RejectionCode, message: string, path?: string): Refusal => ({
  kind: 'refused',
  code,
  message: message.slice(0, MESSAGE_CHARACTERS),
  ...(path !== undefined && { path: shown(path) }),
});

/** Which event it was, as far as an unchecked one tells: enough to find it again by. */
export const about = (attributes: { readonly tenant?: unknown; readonly id?: unknown }): Pick<Refusal, 'tenant' | 'eventId'> => ({
  ...(typeof attributes.tenant === 'string' && { tenant: shown(attributes.tenant) }),
  ...(typeof attributes.id === 'string' && { eventId: shown(attributes.id) }),
});

/** The refusal of a part, told by whoever holds the whole: `type` of `events[3]` is `events[3].type`. */
export const within = (place: string, refusal: Refusal): Refusal => ({
  ...refusal,
  path: refusal.path === undefined ? place : `${place}.${refusal.path}`,
  ...(refusal.errors && { errors: faultsWithin(place, refusal.errors) }),
});

export const faultsWithin = (place: string, faults: readonly Fault[]): readonly Fault[] =>
  faults.map(({ path, message }) => ({ path: `${place}.${path}`, message }));
