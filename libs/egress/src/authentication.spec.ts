import { createServer, type Server } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { setImmediate as nextTurn } from 'node:timers/promises';
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
let nowMs: number;
let origin: string;
/** Requests for a token, and what is answered. */
let asked: { authorization: string | undefined; form: string }[];
let answer: { status: number; body: string; headers?: Record<string, string> };
/** Held back until it is called. */
let release: (() => void) | undefined;
let isHeld: boolean;
/** What deliveries came with, and what is answered. */
let delivered: (string | undefined)[];
let status: number;
/** The token that the subscriber takes; undefined for any. */
let good: string | undefined;

beforeEach(async () => {
  asked = [];
  delivered = [];
  status = 200;
  good = undefined;
  isHeld = false;
  release = undefined;
  nowMs = 0;
  answer = { status: 200, body: JSON.stringify({ access_token: 'token-1', token_type: 'Bearer', expires_in: 3600 }) };
  server = createServer((request, response) => {
    let form = '';
    request.setEncoding('utf8').on('data', (text: string) => (form += text));
    request.on('end', () => {
      if (request.url === '/token') {
        asked.push({ authorization: request.headers.authorization, form });
        const respond = (): void => void response.writeHead(answer.status, answer.headers).end(answer.body);
        if (isHeld) release = respond;
        else respond();
      } else {
        delivered.push(request.headers.authorization);
        response.writeHead(good === undefined || request.headers.authorization === `Bearer ${good}` ? status : 401).end();
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

/** What never comes is ended by jest's own limit. */
const eventually = async (isMet: () => unknown): Promise<void> => {
  while (!(await isMet())) await nextTurn();
};

const PATIENCE = { timeoutMs: 3_000, remainingMs: 3_000 };
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

  it('ask once for all who wait', async () => {
    const clientCredentials = credentials();
    isHeld = true;
    const attempts = [attempt({ clientCredentials }), attempt({ clientCredentials }), attempt({ clientCredentials })];
    await eventually(() => release);
    release?.();
    expect((await Promise.all(attempts)).map(({ verdict }) => verdict.success)).toEqual([true, true, true]);
    expect([asked.length, delivered.length]).toEqual([1, 3]);
  });

  it('fetch the next token a minute before the end, while the old one still serves', async () => {
    const clientCredentials = credentials();
    await attempt({ clientCredentials });
    nowMs = 3_600_000 - 60_001;
    await attempt({ clientCredentials });
    expect(asked).toHaveLength(1);
    nowMs += 1;
    answer = { ...answer, body: '{"access_token":"token-2","expires_in":3600}' };
    isHeld = true;
    await attempt({ clientCredentials });
    await attempt({ clientCredentials });
    await eventually(() => release);
    expect([asked.length, delivered]).toEqual([2, Array.from({ length: 4 }, () => 'Bearer token-1')]);
    release?.();
    await eventually(async () => JSON.stringify(await clientCredentials.token(sender, PATIENCE)).includes('token-2'));
    expect(asked).toHaveLength(2);
  });

  it('keep using the old token when the next cannot be had, ask again after five seconds, and wait in its last half minute', async () => {
    const clientCredentials = credentials();
    await attempt({ clientCredentials });
    nowMs = 3_600_000 - 60_000;
    answer = { status: 500, body: '' };
    expect((await attempt({ clientCredentials })).verdict.success).toBe(true);
    await eventually(() => asked.length === 2);
    nowMs += 4_999;
    expect((await attempt({ clientCredentials })).verdict.success).toBe(true);
    expect(asked).toHaveLength(2);
    nowMs += 1;
    expect((await attempt({ clientCredentials })).verdict.success).toBe(true);
    await eventually(() => asked.length === 3);
    nowMs = 3_600_000 - 30_000;
    expect((await attempt({ clientCredentials })).verdict).toMatchObject({ success: false, error: { code: 'auth_failed', message: expect.stringContaining('answered 500') } });
  });

  it('answer a 401 at once with a fresh token: one attempt, and recorded is its last request', async () => {
    const clientCredentials = credentials();
    await attempt({ clientCredentials });
    good = 'token-2';
    answer = { ...answer, body: '{"access_token":"token-2"}' };
    const results = await Promise.all([attempt({ clientCredentials }), attempt({ clientCredentials })]);
    for (const result of results) {
      expect(result.verdict).toEqual({ success: true });
      expect(result.attempt).toMatchObject({ response: { status: 200 }, request: { headers: { authorization: '***' } } });
      expect(result.attempt.error).toBeUndefined();
    }
    expect(asked).toHaveLength(2);
    expect(delivered.slice(1).toSorted()).toEqual(['Bearer token-1', 'Bearer token-1', 'Bearer token-2', 'Bearer token-2']);
  });

  it('ask for one token an attempt when the subscriber answers nothing but 401', async () => {
    const clientCredentials = credentials();
    status = 401;
    for (const tokens of [2, 3]) {
      const { verdict, attempt: recorded } = await attempt({ clientCredentials });
      expect(verdict).toMatchObject({ success: false, error: { code: 'bad_status' } });
      expect(recorded.response?.status).toBe(401);
      expect(asked).toHaveLength(tokens);
    }
    expect(delivered).toHaveLength(4);
  });

  it('take a 401 for what it is where the subscription counts it as delivered', async () => {
    status = 401;
    expect((await attempt({ clientCredentials: credentials(), success: { statuses: ['401'] } })).verdict).toEqual({ success: true });
    expect([asked.length, delivered.length]).toEqual([1, 1]);
  });

  it('tell both when after a 401 there is no other token', async () => {
    const clientCredentials = credentials();
    await attempt({ clientCredentials });
    status = 401;
    answer = { status: 400, body: '{"error":"invalid_client"}' };
    const result = await attempt({ clientCredentials });
    expect(result.verdict).toMatchObject({ error: { code: 'auth_failed', message: expect.stringMatching(/answered 401, and there is no other token.*400 \(invalid_client\)/) } });
    expect(result.attempt.response?.status).toBe(401);
  });

  it('wait no longer for a token than the attempt lasts, the second time neither', async () => {
    isHeld = true;
    const first = await attempt({ clientCredentials: credentials(), timeoutMs: 50 });
    expect(first.verdict).toMatchObject({ error: { code: 'auth_failed', message: expect.stringContaining('no access token') } });
    expect(first.attempt.duration_ms).toBeLessThan(1_000);
    isHeld = false;
    const clientCredentials = credentials();
    await attempt({ clientCredentials });
    [status, isHeld] = [401, true];
    const second = await attempt({ clientCredentials, timeoutMs: 100 });
    expect(second.verdict).toMatchObject({ error: { code: 'auth_failed' } });
    expect(second.attempt.duration_ms).toBeLessThan(1_000);
  });

  it('are waited for by each as long as it can itself', async () => {
    const clientCredentials = credentials();
    isHeld = true;
    const patient = attempt({ clientCredentials });
    await eventually(() => release);
    expect((await attempt({ clientCredentials, timeoutMs: 50 })).verdict).toMatchObject({ error: { code: 'auth_failed', message: expect.stringContaining('did not answer in time') } });
    release?.();
    expect((await patient).verdict).toEqual({ success: true });
    expect(asked).toHaveLength(1);
  });

  it('are not waited for when the delivery is given up', async () => {
    isHeld = true;
    const stop = new AbortController();
    const subscription = { url: `${origin}/`, headers: {}, timeoutMs: 3_000, secrets: [secret], clientCredentials: credentials() };
    const result = makeAttempt(sender, { eventId: 'evt_1', payload, subscription, signal: stop.signal });
    await eventually(() => release);
    stop.abort();
    expect((await result).verdict).toMatchObject({ error: { code: 'aborted' } });
    expect(delivered).toEqual([]);
  });

  it.each([
    ['a refusal', 401, '{"error":"invalid_client"}', 'answered 401 (invalid_client)'],
    ['a refusal without words', 403, '<html>', 'answered 403.'],
    ['an error that is no code', 400, '{"error":"<script>"}', 'answered 400.'],
    ['a redirect', 302, '', 'answered 302'],
    ['no JSON', 200, 'token-1', 'did not answer with a bearer token'],
    ['a form', 200, 'access_token=token-1&token_type=bearer', 'did not answer with a bearer token'],
    ['null', 200, 'null', 'did not answer with a bearer token'],
    ['a list', 200, '["token-1"]', 'did not answer with a bearer token'],
    ['nothing', 200, '', 'did not answer with a bearer token'],
    ['no token', 200, '{"token_type":"Bearer"}', 'did not answer with a bearer token'],
    ['a token that is no text', 200, '{"access_token":1}', 'did not answer with a bearer token'],
    ['another kind of token', 200, '{"access_token":"token-1","token_type":"mac"}', 'did not answer with a bearer token'],
    ['a token that is no header', 200, '{"access_token":"a\\r\\nb: c","token_type":"Bearer"}', 'did not answer with a bearer token'],
    ['more than 4 KiB', 200, `{"access_token":"${'x'.repeat(5_000)}"}`, 'at most 4 KiB'],
    ['more than is ever read', 200, `{"access_token":"${'x'.repeat(1_000_000)}"}`, 'at most 4 KiB'],
  ])('answered with %s make no request, and say so', async (_, status, body, message) => {
    answer = { status, body };
    const result = await attempt({ clientCredentials: credentials() });
    expect(result.verdict).toMatchObject({ success: false, error: { code: 'auth_failed', message: expect.stringContaining(message) } });
    expect(JSON.stringify(result)).not.toMatch(/se:cret|token-1/);
    expect(delivered).toEqual([]);
  });

  it('that cannot be had are not asked for again within a second', async () => {
    const clientCredentials = credentials();
    const given = answer;
    answer = { status: 503, body: '' };
    for (const _ of [1, 2, 3]) {
      expect((await attempt({ clientCredentials })).verdict).toMatchObject({ error: { code: 'auth_failed', message: expect.stringContaining('answered 503') } });
    }
    nowMs += 999;
    await attempt({ clientCredentials });
    expect(asked).toHaveLength(1);
    nowMs += 1;
    answer = given;
    expect((await attempt({ clientCredentials })).verdict).toEqual({ success: true });
    expect(asked).toHaveLength(2);
  });

  it('take JSON for JSON, whatever its content type', async () => {
    answer = { ...answer, headers: { 'content-type': 'text/html' } };
    expect((await attempt({ clientCredentials: credentials() })).verdict).toEqual({ success: true });
  });

  it.each<[unknown, number]>([
    [undefined, 240_000],
    [null, 240_000],
    ['', 240_000],
    ['soon', 240_000],
    [true, 240_000],
    ['600', 540_000],
    [600, 540_000],
    [10, 6_000],
    [1e300, 86_400_000 - 60_000],
  ])('that last for %j are refreshed after %d ms', async (expires_in, refreshMs) => {
    const clientCredentials = credentials();
    answer = { ...answer, body: JSON.stringify({ access_token: 'token-1', expires_in }) };
    await attempt({ clientCredentials });
    nowMs = refreshMs - 1;
    await attempt({ clientCredentials });
    expect(asked).toHaveLength(1);
    nowMs = refreshMs;
    await attempt({ clientCredentials });
    await eventually(() => asked.length === 2);
  });

  it.each([0, -5, '-5'])('that last for %j seconds serve whoever has waited, and no other', async (expires_in) => {
    const clientCredentials = credentials();
    answer = { ...answer, body: JSON.stringify({ access_token: 'token-1', expires_in }) };
    await attempt({ clientCredentials });
    await attempt({ clientCredentials });
    expect([asked.length, delivered.length]).toEqual([2, 2]);
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
