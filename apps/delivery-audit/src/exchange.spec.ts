import { describe, expect, it } from '@jest/globals';
import { attemptErrorCode } from '@posthorn/contracts';
import * as fc from 'fast-check';
import { packExchange, unpackExchange, type Exchange } from './exchange.js';

const STARTED_MS = Date.parse('2026-11-20T10:00:00.950Z');

const thereAndBack = (exchange: Exchange, startedMs = STARTED_MS): Exchange =>
  unpackExchange(packExchange(exchange, startedMs), { startedMs, statusCode: exchange.response?.status ?? null, errorCode: exchange.error?.code ?? null });

const delivered: Exchange = {
  request: {
    url: 'https://hooks.example.com/in/117',
    headers: {
      'content-type': 'application/json',
      'user-agent': 'Posthorn/0.1.0',
      'webhook-id': 'evt_0198c1c5a4f07b3e8d2f6a9b0c1d2e3f',
      'webhook-timestamp': '1795168800',
      'webhook-signature': 'v1,K5oZfzN95Z9UVu1EsfQmfVNQhnkZ2pj9o9NDN/H/pI4=',
    },
  },
  response: {
    status: 200,
    headers: { date: 'Fri, 20 Nov 2026 10:00:01 GMT', 'content-type': 'application/json', 'content-length': '15', connection: 'keep-alive', server: 'nginx/1.24.0' },
    body: '{"received":true}',
    truncated: false,
  },
};

const headerName = fc.oneof(fc.constantFrom('date', 'webhook-timestamp', 'content-type', 'connection', '__proto__', 'constructor', '7'), fc.string());
const headerValue = fc.oneof(
  fc.constantFrom('application/json', 'keep-alive', '1795168800', '01795168800', '1795168800.5', 'Fri, 20 Nov 2026 10:00:01 GMT', 'Fri, 20 Nov 2026 10:00:01 UTC', 'Thu, 01 Jan 1970 00:00:00 GMT', ''),
  fc.string({ unit: 'binary' }),
);
const headers = fc.array(fc.tuple(headerName, headerValue)).map((entries) => Object.fromEntries(entries));

describe('an exchange', () => {
  it('comes back member for member, whatever is in it', () => {
    const exchange: fc.Arbitrary<Exchange> = fc.record(
      {
        request: fc.record({ url: fc.string(), headers }),
        response: fc.record({ status: fc.integer({ min: 100, max: 999 }), headers, body: fc.string({ unit: 'binary' }), truncated: fc.boolean() }),
        error: fc.record({ code: fc.constantFrom(...attemptErrorCode.options), message: fc.string() }),
      },
      { requiredKeys: ['request'] },
    );
    fc.assert(
      fc.property(exchange, fc.integer({ min: 0, max: 4e12 }), (one, startedMs) => {
        const back = thereAndBack(one, startedMs);
        expect(back).toEqual(one);
        // Also in the order in which they were sent.
        expect(JSON.stringify(back)).toBe(JSON.stringify(one));
      }),
    );
  });

  it('is kept in two fifths of the room', () => {
    const packed = packExchange(delivered, STARTED_MS);
    expect(packed).toBe(
      '["https://hooks.example.com/in/117",[0,12,-1,"evt_0198c1c5a4f07b3e8d2f6a9b0c1d2e3f",-2,0,-3,"v1,K5oZfzN95Z9UVu1EsfQmfVNQhnkZ2pj9o9NDN/H/pI4="],0,' +
        '[-7,1,0,-8,"15",15,-9,"nginx/1.24.0"],"{\\"received\\":true}",0]',
    );
    expect(packed.length / JSON.stringify(delivered).length).toBeLessThan(0.45);
  });

  it('writes out a time that another spelling would lose', () => {
    for (const date of ['Fri, 20 Nov 2026 10:00:01 UTC', 'Fri, 20 Nov 2026 10:00:01.5 GMT', 'Thu, 01 Jan 1970 00:00:00 GMT', 'Invalid Date', '']) {
      const exchange = { request: { url: '', headers: { date, 'webhook-timestamp': '1795168800' } } };
      expect(thereAndBack(exchange)).toEqual(exchange);
    }
  });

  it('without an answer or an error has none', () => {
    const exchange: Exchange = { request: { url: 'https://example.com/', headers: {} } };
    expect(Object.keys(thereAndBack(exchange))).toEqual(['request']);
  });
});
