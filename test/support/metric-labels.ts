/** A line of Prometheus' text: `name{label="value",…} number`. */
const SAMPLE = /^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? \S+/;
const LABEL = /([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\.)*)"/g;

const oneOf = (...values: readonly string[]): RegExp => new RegExp(`^(?:${values.join('|')})$`);
const word = /^[a-z_]{1,32}$/;

/**
 * Every label there may be, and what it may say. What is not in here is a label that nobody has thought about: each of its values would be a series,
 * in Prometheus for weeks, and readable by whoever may see a graph.
 */
const labels: Readonly<Record<string, RegExp>> = {
  service: oneOf('subscription-registry', 'event-ingestion', 'dispatcher', 'delivery-audit', 'gateway'),
  le: /^(?:\+Inf|[0-9.e+-]+)$/,
  quantile: /^[0-9.]+$/,
  // HTTP's, or a gRPC method as protobuf names it.
  method: /^(?:[A-Z]{3,7}|(?:posthorn|grpc)\.[a-z0-9.]+\.[A-Z][A-Za-z]+\/[A-Z][A-Za-z]+|unknown)$/,
  // Parameters by their names, as `/v1/tenants/:tenant/events/:event`.
  route: /^(?:(?:\/(?::?[a-zA-Z][a-zA-Z_-]*|v1|openapi\.json|\*))+|\/|unknown)$/,
  status: /^(?:[1-5][0-9]{2}|running|paused)$/,
  code: /^[A-Z_]{2,20}$/,
  door: oneOf('kafka', 'rest', 'grpc'),
  outcome: word,
  policy: word,
  why: word,
  state: word,
  cause: word,
  to: word,
  how: word,
  reason: word,
  trigger: word,
  kind: word,
  held: oneOf('yes', 'no'),
  tier: /^[0-9]+[smh]$/,
  topic: /^[A-Za-z0-9._-]{1,249}$/,
  check: /^[a-z. ]{1,40}(?: [A-Za-z0-9._-]+)?$/,
  version: /^v?[0-9]+(?:\.[0-9a-z-]+){0,3}$/,
  node: /^[0-9]+(?:\.[0-9]+){2}$/,
  // Of Node's own metrics.
  major: /^[0-9]+$/,
  minor: /^[0-9]+$/,
  patch: /^[0-9]+$/,
  space: word,
  type: /^[A-Za-z0-9_]{1,40}$/,
};

/** Ids of ours begin like this. */
const ID = /\b(?:evt|sub|dlv|att|rej|rpl|op|key|phk|whsec|ten)_[A-Za-z0-9]{6,}/;

/**
 * What is wrong with the labels of a page of metrics, in words; nothing when all is well.
 * @param forbidden what must not occur in any of them: tenants, ids, hosts of those who used the service before
 */
export const labelFaults = (page: string, forbidden: readonly string[]): readonly string[] =>
  page
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'))
    .flatMap((line) => {
      const [, metric = line, set = ''] = SAMPLE.exec(line) ?? [];
      return [...set.matchAll(LABEL)].flatMap(([, label = '', value = '']) => faultOf(label, value, forbidden).map((fault) => `${metric}{${label}="${value}"}: ${fault}`));
    });

const faultOf = (label: string, value: string, forbidden: readonly string[]): readonly string[] => {
  const allowed = labels[label];
  if (allowed === undefined) return ['nobody knows this label'];
  if (value.includes('://') || ID.test(value)) return ['an id or a URL'];
  const told = forbidden.find((one) => value.includes(one));
  if (told !== undefined) return [`tells ${told}`];
  return allowed.test(value) ? [] : ['not one of the values that it may have'];
};

/** Names of ours on a page of metrics, without the parts that a histogram is made of. */
export const metricsOn = (page: string): readonly string[] => [...page.matchAll(/^# TYPE (posthorn_\w+) /gm)].map(([, name = '']) => name);

/** Upper bounds, in seconds and rising, of every histogram of durations of ours that has observed something. */
export const durationBoundsOn = (page: string): ReadonlyMap<string, readonly number[]> => {
  const bounds = new Map<string, Set<number>>();
  for (const [, metric = '', bound] of page.matchAll(/^(posthorn_\w+_seconds)_bucket\{(?:.*,)?le="([0-9.e-]+)"/gm)) {
    bounds.set(metric, (bounds.get(metric) ?? new Set()).add(Number(bound)));
  }
  return new Map([...bounds].map(([metric, all]) => [metric, [...all].toSorted((a, b) => a - b)]));
};
