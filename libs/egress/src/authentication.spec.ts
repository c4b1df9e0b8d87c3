import { createServer, type Server } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { parseCidrs } from './address-guard.js';
import { makeAttempt, type AttemptRequest, type AttemptResult } from './attempt.js';
import { ClientCredentials } from './client-credentials.js';
import { clientIdentity } from './client-identity.js';
import { HttpSender } from './http.js';
import { standardPayload } from './payload.js';
import { testCertificate } from './test-certificate.js';

const secret = `whsec_${Buffer.alloc(32, 9).toString('base64')}`;
const payload = standardPayload({ type: 'invoice.paid', time: '2026-01-01T00:00:00Z' }, Buffer.from('{}'));

let server: Server;
let sender: HttpSender;
let origin: string;
/** Requests for a token, and what is answered. */
let asked: { authorization: string | undefined; form: string }[];
let answer: { status: number; body: string };
/** What deliveries came with, and what is answered. */
let delivered: (string | undefined)[];
let status: number;

beforeEach(async () => {
  asked = [];
  delivered = [];
  status = 200;
  answer = { status: 200, body: JSON.stringify({ access_token: 'token-1', token_type: 'Bearer', expires_in: 3600 }) };
  server = createServer((request, response) => {
    let form = '';
    request.setEncoding('utf8').on('data', (text: string) => (form += text));
    request.on('end', () => {
      if (request.url === '/token') {
        asked.push({ authorization: request.headers.authorization, form });
        response.writeHead(answer.status).end(answer.body);
      } else {
        delivered.push(request.headers.authorization);
        response.writeHead(status).end();
      }
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  sender = new HttpSender({ policy: { allowHttp: true, allowedAddresses: parseCidrs('127.0.0.0/8') }, resolve: async () => [{ address: '127.0.0.1', family: 4 }] });
});

afterEach(async () => {
  await sender.close();
  server.close();
});

const attempt = (subscription: Partial<AttemptRequest['subscription']>): Promise<AttemptResult> =>
  makeAttempt(sender, { eventId: 'evt_1', payload, subscription: { url: `${origin}/`, headers: {}, timeoutMs: 3_000, secrets: [secret], ...subscription } });

let nowMs = 0;
const credentials = (tokenUrl = `${origin}/token`): ClientCredentials =>
  new ClientCredentials({ tokenUrl, clientId: 'me & you', scope: 'a b' }, () => 'se:cret', () => nowMs);

describe('client credentials', () => {
  it('get a token as RFC 6749 has it, and prove with it who is sending', async () => {
    const result = await attempt({ clientCredentials: credentials() });
    expect(result.verdict).toEqual({ success: true });
    expect(asked).toEqual([{ authorization: `Basic ${Buffer.from('me+%26+you:se%3Acret').toString('base64')}`, form: 'grant_type=client_credentials&scope=a+b' }]);
    expect(delivered).toEqual(['Bearer token-1']);
    expect(result.attempt.request.headers['authorization']).toBe('***');
    expect(JSON.stringify(result)).not.toContain('token-1');
  });

  it('ask once for all who wait, and again shortly before the token expires', async () => {
    nowMs = 0;
    const clientCredentials = credentials();
    await Promise.all([attempt({ clientCredentials }), attempt({ clientCredentials }), attempt({ clientCredentials })]);
    nowMs = 3_600_000 - 30_001;
    await attempt({ clientCredentials });
    expect(asked).toHaveLength(1);
    nowMs += 1;
    await attempt({ clientCredentials });
    expect([asked.length, delivered.length]).toEqual([2, 5]);
  });

  it('ask anew after the subscriber has refused the token', async () => {
    const clientCredentials = credentials();
    status = 401;
    await attempt({ clientCredentials });
    await attempt({ clientCredentials });
    expect(asked).toHaveLength(2);
  });

  it.each([
    ['a refusal', 401, '{"error":"invalid_client"}'],
    ['no JSON', 200, 'token-1'],
    ['no token', 200, '{"token_type":"Bearer"}'],
    ['another kind of token', 200, '{"access_token":"token-1","token_type":"mac"}'],
    ['a token that is no header', 200, '{"access_token":"a\\r\\nb: c","token_type":"Bearer"}'],
  ])('answered with %s make no request', async (_, status, body) => {
    answer = { status, body };
    const result = await attempt({ clientCredentials: credentials() });
    expect(result.verdict).toMatchObject({ success: false, error: { code: 'auth_failed' } });
    expect(delivered).toEqual([]);
  });

  it('are told only to permitted addresses', async () => {
    const result = await attempt({ clientCredentials: credentials('http://10.0.0.1/token') });
    expect(result.verdict).toMatchObject({ success: false, error: { code: 'auth_failed', message: expect.stringContaining('not a public address') } });
    expect(delivered).toEqual([]);
  });
});

describe('a client certificate', () => {
  it('is shown to the server, and not shared with who has none', async () => {
    const shown: boolean[] = [];
    const { cert, key } = testCertificate;
    const tls = createTlsServer({ cert, key, ca: cert, requestCert: true, rejectUnauthorized: false }, (request, response) => {
      shown.push((request.socket as TLSSocket).authorized);
      response.end();
    });
    await new Promise<void>((resolve) => tls.listen(0, '127.0.0.1', resolve));
    const url = `https://localhost:${(tls.address() as AddressInfo).port}/`;
    const identity = clientIdentity(cert, key, cert);
    expect((await attempt({ url, identity })).verdict).toEqual({ success: true });
    expect((await attempt({ url, identity })).verdict).toEqual({ success: true });
    expect(shown).toEqual([true, true]);
    // Without the subscription's own authority the server is not believed.
    expect((await attempt({ url })).verdict).toMatchObject({ success: false, error: { code: 'tls_failed' } });
    await sender.close();
    tls.close();
  });
});
