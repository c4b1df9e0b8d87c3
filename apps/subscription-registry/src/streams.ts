/** The aggregates there are; the first part of a stream's name. */
export type AggregateKind = 'tenant' | 'subscription';

export const streamOf = (kind: AggregateKind, id: string): string => `${kind}/${id}`;

/** @throws {TypeError} for a stream that this version of the registry does not know */
export const aggregateOf = (stream: string): { readonly kind: AggregateKind; readonly id: string } => {
  const slash = stream.indexOf('/');
  const kind = stream.slice(0, slash);
  if (kind !== 'tenant' && kind !== 'subscription') throw new TypeError(`unknown stream ${stream}`);
  return { kind, id: stream.slice(slash + 1) };
};
