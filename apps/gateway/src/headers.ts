import type { IncomingHttpHeaders } from 'node:http';
import { validTraceparent } from '@posthorn/contracts';

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
  const isTraced = validTraceparent(traceparent) !== undefined;
  const forwardedFor = headers['x-forwarded-for'];
  return {
    ...rest,
    // The body of a GET is not passed on, so its length must not be either.
    ...(length !== undefined && sender.method !== 'GET' && sender.method !== 'HEAD' && { 'content-length': length }),
    // No trace is begun here: whether it is recorded is decided by who makes its first span.
    ...(isTraced && { traceparent, ...(tracestate !== undefined && { tracestate }) }),
    'x-request-id': sender.requestId,
    'x-forwarded-for': forwardedFor === undefined ? sender.remoteAddress : `${String(forwardedFor)}, ${sender.remoteAddress}`,
    'x-forwarded-proto': headers['x-forwarded-proto'] ?? sender.protocol,
    'x-forwarded-host': headers['x-forwarded-host'] ?? sender.host,
  };
};

export const responseHeaders = withoutHopByHop;
