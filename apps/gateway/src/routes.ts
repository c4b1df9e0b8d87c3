/** The services behind the gateway. */
export type Upstream = 'subscription-registry' | 'event-ingestion' | 'delivery-audit';

const AUDITED: ReadonlySet<string> = new Set(['deliveries', 'rejected-events', 'replays', 'stats']);

/** A request may name the whole URL, as it would to a proxy, and has to be taken for one of its path (RFC 9112, 3.2.2). */
const ORIGIN = /^https?:\/\/[^/?#]+/;

/** Of what a request's first line names; neither its query nor whom it is addressed to, which is us. */
export const pathOf = (target = ''): string => target.replace(ORIGIN, '').split('?', 1)[0] ?? '';

/**
 * Path segments as the services' routers see them: split at the slashes that were sent as such, then decoded, so that an encoded
 * slash stays a part of an id. Undefined for a path that could mean another one after normalisation (`..`, a backslash): what
 * is chosen here must be what is asked for there.
 */
export const segmentsOf = (path: string): readonly string[] | undefined => {
  let segments: string[];
  try {
    segments = path.split('/').map(decodeURIComponent);
  } catch {
    return undefined;
  }
  const ambiguous = !path.startsWith('/') || path.includes('\\') || path.includes('#') || segments.some((segment) => segment === '.' || segment === '..');
  return ambiguous ? undefined : segments;
};

/** Which service answers a request under `/v1`; undefined when the path is not one that can be passed on. */
export const upstreamOf = (method: string, path: string): Upstream | undefined => {
  const segments = segmentsOf(path);
  if (segments === undefined) return undefined;
  const [, , collection, , kind = '', , detail] = segments;
  if (collection === 'rejected-events') return 'delivery-audit';
  if (collection !== 'tenants') return 'subscription-registry';
  if (kind === 'events') return method === 'POST' ? 'event-ingestion' : 'delivery-audit';
  if (AUDITED.has(kind) || (kind === 'subscriptions' && detail === 'stats')) return 'delivery-audit';
  return 'subscription-registry';
};
