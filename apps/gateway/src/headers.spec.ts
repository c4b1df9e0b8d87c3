import { describe, expect, it } from '@jest/globals';
import { requestHeaders, responseHeaders } from './headers.js';

const sender = { method: 'POST', remoteAddress: '192.0.2.7', protocol: 'http', host: 'posthorn.example', requestId: 'r-1' };
const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';

describe('requestHeaders', () => {
  it('passes on what is about the request', () => {
    const headers = { authorization: 'Bearer x', 'idempotency-key': 'i', 'if-match': '"3"', 'content-type': 'application/x', 'content-length': '3' };
    expect(requestHeaders(headers, sender)).toMatchObject(headers);
  });

  it('keeps back what is about the connection', () => {
    const hop = { 'keep-alive': 'timeout=5', te: 'trailers', trailer: 'x', upgrade: 'h2c', expect: '100-continue', 'proxy-authorization': 'Basic x', 'transfer-encoding': 'chunked', connection: 'close' };
    expect(Object.keys(requestHeaders(hop, sender)).filter((name) => name in hop)).toEqual([]);
  });

  it('says who asked', () => {
    expect(requestHeaders({}, sender)).toMatchObject({
      'x-forwarded-for': '192.0.2.7',
      'x-forwarded-proto': 'http',
      'x-forwarded-host': 'posthorn.example',
      'x-request-id': 'r-1',
    });
    expect(requestHeaders({ 'x-forwarded-for': '198.51.100.1', 'x-forwarded-proto': 'https', 'x-forwarded-host': 'a.example' }, sender)).toMatchObject({
      'x-forwarded-for': '198.51.100.1, 192.0.2.7',
      'x-forwarded-proto': 'https',
      'x-forwarded-host': 'a.example',
    });
  });

  it('continues a trace, with its state', () => {
    expect(requestHeaders({ traceparent, tracestate: 'a=b' }, sender)).toMatchObject({ traceparent, tracestate: 'a=b' });
  });

  it.each([undefined, 'x', traceparent.toUpperCase(), `00-${'0'.repeat(32)}-b7ad6b7169203331-01`, `00-0af7651916cd43dd8448eb211c80319c-${'0'.repeat(16)}-01`])(
    'leaves it to the service to begin a trace instead of %j',
    (given) => {
      const headers = requestHeaders({ ...(given !== undefined && { traceparent: given }), tracestate: 'a=b' }, sender);
      expect(headers).not.toHaveProperty('traceparent');
      expect(headers).not.toHaveProperty('tracestate');
    },
  );

  it.each(['GET', 'HEAD'])('gives %s no length: it has no body', (method) => {
    expect(requestHeaders({ 'content-length': '3' }, { ...sender, method })).not.toHaveProperty('content-length');
  });
});

describe('responseHeaders', () => {
  it("keeps the service's connection to itself", () => {
    expect(responseHeaders({ connection: 'keep-alive', 'keep-alive': 'timeout=65', etag: '"1"' })).toEqual({ etag: '"1"' });
  });
});
