import type { Attempt } from '@posthorn/contracts';

/** What an attempt sent and got. */
export type Exchange = Pick<Attempt, 'request' | 'response' | 'error'>;

/** What other columns of the row say of it already. */
export type ExchangeContext = { readonly startedMs: number; readonly statusCode: number | null; readonly errorCode: string | null };

/*
 * Requests of one service and answers of web servers resemble each other: as they are in the record they would be two thirds of a row, most of
 * it names and values that stand in every other row too. So an exchange is kept as an array of its variable parts:
 *
 *     [url, request headers, error message or 0, response headers, body, truncated]      without an answer, the first three
 *
 * Headers are an array in which each is: a number of HEADERS; or its name, or -1 minus the name's number in NAMES, followed by its value. A value is a
 * text, or, of a name in TIMES, seconds since the attempt's start. What is in no list is written out.
 *
 * Rows refer to these lists by number: entries may be added at the end, never moved, changed or removed.
 */
const NAMES: readonly string[] = [
  'webhook-id', 'webhook-timestamp', 'webhook-signature', 'traceparent', 'content-type', 'user-agent', 'date', 'content-length', 'server', 'connection',
  'keep-alive', 'transfer-encoding', 'cache-control', 'etag', 'vary', 'via', 'x-request-id', 'x-powered-by', 'strict-transport-security', 'x-amzn-requestid',
  'x-amzn-trace-id', 'x-amz-cf-id', 'x-amz-cf-pop', 'x-cache', 'cf-ray', 'cf-cache-status', 'alt-svc', 'nel', 'report-to', 'x-runtime',
  'x-content-type-options', 'x-frame-options', 'x-xss-protection', 'referrer-policy', 'content-security-policy', 'access-control-allow-origin', 'set-cookie',
  'authorization', 'retry-after', 'location', 'expires', 'pragma', 'age', 'last-modified', 'server-timing', 'x-correlation-id', 'x-envoy-upstream-service-time',
  'x-ratelimit-limit', 'x-ratelimit-remaining', 'x-ratelimit-reset', 'apigw-requestid', 'ce-id', 'ce-source', 'ce-specversion', 'ce-time', 'ce-type', 'ce-subject',
];

const HEADERS: readonly (readonly [name: string, value: string])[] = [
  ['content-type', 'application/json'],
  ['content-type', 'application/json; charset=utf-8'],
  ['content-type', 'application/json;charset=UTF-8'],
  ['content-type', 'application/cloudevents+json'],
  ['content-type', 'application/cloudevents+json; charset=utf-8'],
  ['content-type', 'application/problem+json'],
  ['content-type', 'text/plain'],
  ['content-type', 'text/plain; charset=utf-8'],
  ['content-type', 'text/plain;charset=UTF-8'],
  ['content-type', 'text/html'],
  ['content-type', 'text/html; charset=utf-8'],
  ['content-type', 'text/html; charset=UTF-8'],
  ['user-agent', 'Posthorn/0.1.0'],
  ['user-agent', 'Posthorn/1.0.0'],
  ['ce-specversion', '1.0'],
  ['connection', 'keep-alive'],
  ['connection', 'close'],
  ['keep-alive', 'timeout=5'],
  ['keep-alive', 'timeout=60'],
  ['transfer-encoding', 'chunked'],
  ['content-length', '0'],
  ['content-length', '2'],
  ['server', 'nginx'],
  ['server', 'cloudflare'],
  ['server', 'envoy'],
  ['server', 'istio-envoy'],
  ['server', 'awselb/2.0'],
  ['server', 'CloudFront'],
  ['server', 'Microsoft-IIS/10.0'],
  ['server', 'Google Frontend'],
  ['server', 'uvicorn'],
  ['server', 'Kestrel'],
  ['x-powered-by', 'Express'],
  ['x-powered-by', 'ASP.NET'],
  ['cache-control', 'no-cache'],
  ['cache-control', 'no-store'],
  ['cache-control', 'private'],
  ['cache-control', 'no-cache, private'],
  ['cache-control', 'max-age=0, private, must-revalidate'],
  ['vary', 'Accept-Encoding'],
  ['vary', 'Origin'],
  ['via', '1.1 google'],
  ['pragma', 'no-cache'],
  ['x-content-type-options', 'nosniff'],
  ['x-frame-options', 'SAMEORIGIN'],
  ['x-frame-options', 'DENY'],
  ['x-xss-protection', '0'],
  ['x-xss-protection', '1; mode=block'],
  ['access-control-allow-origin', '*'],
  ['cf-cache-status', 'DYNAMIC'],
  ['alt-svc', 'h3=":443"; ma=86400'],
  ['referrer-policy', 'no-referrer'],
];

/** Headers that tell the time, and how. */
const TIMES: Readonly<Record<string, (seconds: number) => string>> = {
  date: (seconds) => new Date(seconds * 1_000).toUTCString(),
  'webhook-timestamp': String,
};
const SECONDS: Readonly<Record<string, (text: string) => number>> = {
  date: (text) => Date.parse(text) / 1_000,
  'webhook-timestamp': Number,
};
/** Further away than this no time of an exchange is: whatever claims it is written out. */
const MOST_SECONDS = 86_400;

const nameNumbers: ReadonlyMap<string, number> = new Map(NAMES.map((name, n) => [name, n]));
const headerNumbers: ReadonlyMap<string, ReadonlyMap<string, number>> = new Map(
  NAMES.map((name) => [name, new Map(HEADERS.flatMap((header, n): [string, number][] => (header[0] === name ? [[header[1], n]] : [])))]),
);

type Packed = (string | number)[];

/** The time that it tells, if it tells it in the one way in which it could be written again. */
const secondsTold = (name: string, value: string): number | undefined => {
  const seconds = SECONDS[name]?.(value);
  return seconds !== undefined && Number.isInteger(seconds) && TIMES[name]?.(seconds) === value ? seconds : undefined;
};

/** By header, what was last told: answers of one second have the same date, and reading one takes a microsecond. */
const lastTold: Record<string, { readonly value: string; readonly seconds: number | undefined }> = {};

const packTime = (name: string, value: string, startedSeconds: number): string | number => {
  let told = lastTold[name];
  if (told?.value !== value) lastTold[name] = told = { value, seconds: secondsTold(name, value) };
  const since = (told.seconds ?? Number.NaN) - startedSeconds;
  return Math.abs(since) < MOST_SECONDS ? since : value;
};

const packHeaders = (headers: Readonly<Record<string, string>>, startedSeconds: number): Packed => {
  const packed: Packed = [];
  for (const name of Object.keys(headers)) {
    const value = headers[name] ?? '';
    const number = nameNumbers.get(name);
    const header = number === undefined ? undefined : headerNumbers.get(name)?.get(value);
    if (header !== undefined) packed.push(header);
    else if (number === undefined) packed.push(name, value);
    else packed.push(-1 - number, Object.hasOwn(SECONDS, name) ? packTime(name, value, startedSeconds) : value);
  }
  return packed;
};

const unpackHeaders = (packed: Readonly<Packed>, startedSeconds: number): Record<string, string> => {
  const headers: [string, string][] = [];
  for (let at = 0; at < packed.length; at++) {
    const entry = packed[at] ?? '';
    const known = typeof entry === 'number' && entry >= 0 ? HEADERS[entry] : undefined;
    if (known) {
      headers.push([...known]);
      continue;
    }
    const name = typeof entry === 'number' ? (NAMES[-1 - entry] ?? '') : entry;
    const value = packed[++at] ?? '';
    headers.push([name, typeof value === 'number' ? (TIMES[name]?.(startedSeconds + value) ?? '') : value]);
  }
  return Object.fromEntries(headers);
};

const secondsOf = ({ startedMs }: Pick<ExchangeContext, 'startedMs'>): number => Math.floor(startedMs / 1_000);

/** As it is kept: a text of JSON. */
export const packExchange = ({ request, response, error }: Exchange, startedMs: number): string => {
  const seconds = secondsOf({ startedMs });
  const packed: unknown[] = [request.url, packHeaders(request.headers, seconds), error?.message ?? 0];
  if (response) packed.push(packHeaders(response.headers, seconds), response.body, response.truncated ? 1 : 0);
  return JSON.stringify(packed);
};

type PackedExchange = readonly [url: string, request: Packed, error: string | 0, response?: Packed, body?: string, truncated?: 0 | 1];

/** As it was, member for member. */
export const unpackExchange = (text: string, context: ExchangeContext): Exchange => {
  const seconds = secondsOf(context);
  const [url, request, error, response, body = '', truncated] = JSON.parse(text) as PackedExchange; // What `packExchange` has written
  return {
    request: { url, headers: unpackHeaders(request, seconds) },
    ...(response && { response: { status: context.statusCode ?? 0, headers: unpackHeaders(response, seconds), body, truncated: truncated === 1 } }),
    ...(error !== 0 && { error: { code: context.errorCode as NonNullable<Exchange['error']>['code'], message: error } }), // The column is written with it
  };
};
