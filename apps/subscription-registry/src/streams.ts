/** The aggregates there are; the first part of a stream's name. */
export const AGGREGATE_KINDS = ['tenant', 'event_type', 'subscription', 'api_key', 'portal_key'] as const;
export type AggregateKind = (typeof AGGREGATE_KINDS)[number];

const isKind = (text: string): text is AggregateKind => (AGGREGATE_KINDS as readonly string[]).includes(text);

export const streamOf = (kind: AggregateKind, id: string): string => `${kind}/${id}`;

/**
 * The id is all that follows the first slash: an event type's own has one more.
 * @throws {TypeError} for a stream that this version of the registry does not know
 */
export const aggregateOf = (stream: string): { readonly kind: AggregateKind; readonly id: string } => {
  const slash = stream.indexOf('/');
  const kind = stream.slice(0, slash);
  if (!isKind(kind)) throw new TypeError(`unknown stream ${stream}`);
  return { kind, id: stream.slice(slash + 1) };
};

/** The one relay of the store, which carries it to `registry.log` and `registry.state`. */
export const RELAY = 'registry';
