import { randomBytes } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';

/** Headers about one connection, not about the request (RFC 9110, 7.6.1), and `expect`, which Node has answered already. */
const HOP_BY_HOP: ReadonlySet<string> = new Set([
  'connection',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
  'expect',
]);

const TRACE_PARENT = /^00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}$/;

/** A fresh trace (W3C Trace Context), sampled. */
const newTraceParent = (): string => `00-${randomBytes(16).toString('hex')}-${randomBytes(8).toString('hex')}-01`;

const withoutHopByHop = (headers: IncomingHttpHeaders): IncomingHttpHeaders =>
  Object.fromEntries(Object.entries(headers).filter(([name]) => !HOP_BY_HOP.has(name)));

export type Sender = {
  readonly method: string;
  readonly remoteAddress: string;
  readonly protocol: string;
  readonly host: string;
  readonly requestId: string;
};

/** What is told to the service: the sender's headers, and who it was. */
export const requestHeaders = (headers: IncomingHttpHeaders, sender: Sender): IncomingHttpHeaders => {
  const { traceparent, tracestate, 'content-length': length, ...rest } = withoutHopByHop(headers);
  const traced = typeof traceparent === 'string' && TRACE_PARENT.test(traceparent);
  const forwardedFor = headers['x-forwarded-for'];
  return {
    ...rest,
    // The body of a GET is not passed on, so its length must not be either.
    ...(length !== undefined && sender.method !== 'GET' && sender.method !== 'HEAD' && { 'content-length': length }),
    ...(traced ? { traceparent, ...(tracestate !== undefined && { tracestate }) } : { traceparent: newTraceParent() }),
    'x-request-id': sender.requestId,
    'x-forwarded-for': forwardedFor === undefined ? sender.remoteAddress : `${String(forwardedFor)}, ${sender.remoteAddress}`,
    'x-forwarded-proto': headers['x-forwarded-proto'] ?? sender.protocol,
    'x-forwarded-host': headers['x-forwarded-host'] ?? sender.host,
  };
};

export const responseHeaders = withoutHopByHop;
