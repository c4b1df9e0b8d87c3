import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { recordSchemas } from '@posthorn/contracts';
import { createServer, type IncomingHttpHeaders, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Webhook } from 'standardwebhooks';
import { parseCidrs } from './address-guard.js';
import { makeAttempt, type AttemptRequest, type AttemptResult } from './attempt.js';
import { EgressError } from './errors.js';
import { HttpSender } from './http.js';
import { standardPayload } from './payload.js';

const secret = `whsec_${Buffer.alloc(32, 9).toString('base64')}`;
const payload = standardPayload({ type: 'invoice.paid', time: '2026-01-01T00:00:00Z' }, Buffer.from('{"total":12}'));

let server: Server;
let sender: HttpSender;
let url: string;
let status = 200;
let received: { headers: IncomingHttpHeaders; body: string }[] = [];

beforeEach(async () => {
  status = 200;
  received = [];
  server = createServer((request, response) => {
    let body = '';
    request.setEncoding('utf8').on('data', (text: string) => (body += text));
    request.on('end', () => {
      received.push({ headers: request.headers, body });
      response.writeHead(status, { 'retry-after': '7' }).end('noted');
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
  sender = new HttpSender({ policy: { allowHttp: true, allowedAddresses: parseCidrs('127.0.0.0/8') } });
});

afterEach(async () => {
  await sender.close();
  server.close();
});

const attempt = (subscription: Partial<AttemptRequest['subscription']> = {}): Promise<AttemptResult> =>
  makeAttempt(sender, { eventId: 'evt_1', payload, subscription: { url, headers: {}, timeoutMs: 3_000, secrets: [secret], ...subscription } });

/** As it would be recorded: what the schema does not know, or has not got, is an error here. */
const recordable = ({ attempt }: AttemptResult): boolean =>
  recordSchemas.attempted.shape.outcomes.element.shape.attempt.unwrap().strict().safeParse(attempt).success;

describe('an attempt', () => {
  it('is a request that the reference implementation verifies', async () => {
    const result = await attempt();
    expect(result.verdict).toEqual({ success: true });
    const [request] = received;
    expect(request?.headers).toMatchObject({ 'content-type': 'application/json', 'webhook-id': 'evt_1' });
    expect(request?.headers['user-agent']).toMatch(/^Posthorn\/\d+\.\d+\.\d+$/);
    expect(request?.headers['traceparent']).toMatch(/^00-[0-9a-f]{32}-[0-9a-f]{16}-01$/);
    expect(new Webhook(secret).verify(request?.body ?? '', request?.headers as Record<string, string>)).toEqual({
      type: 'invoice.paid',
      timestamp: '2026-01-01T00:00:00Z',
      data: { total: 12 },
    });
  });

  // An event may have any id without control characters. A header may not, and who reads it takes away the white space around it.
  it.each([
    ['注文-1', '%E6%B3%A8%E6%96%87-1'],
    ['é', '%C3%A9'],
    ['%C3%A9', '%25C3%25A9'],
    [' a b ', '%20a%20b%20'],
    ['a/b:c~d', 'a/b:c~d'],
  ])('of the event %j is verified under the id %s', async (eventId, told) => {
    const result = await makeAttempt(sender, { eventId, payload, subscription: { url, headers: {}, timeoutMs: 3_000, secrets: [secret] } });
    expect(result.attempt.error).toBeUndefined();
    expect(result.attempt.request.headers['webhook-id']).toBe(told);
    const [request] = received;
    expect(request?.headers['webhook-id']).toBe(told);
    new Webhook(secret).verify(request?.body ?? '', request?.headers as Record<string, string>);
  });

  it('is recorded as it was', async () => {
    const before = Date.now();
    const result = await attempt();
    expect(recordable(result)).toBe(true);
    const { host: _, connection: __, 'content-length': ___, ...sent } = received[0]?.headers ?? {};
    expect(result.attempt.request).toEqual({ url, headers: sent });
    expect(result.attempt.response).toMatchObject({ status: 200, body: 'noted', truncated: false });
    expect(result.attempt.error).toBeUndefined();
    expect(Date.parse(result.attempt.started_at)).toBeGreaterThanOrEqual(before);
    expect(result.attempt.duration_ms).toBeGreaterThanOrEqual(0);
  });

  it('sends custom headers, and records the secret ones by name only', async () => {
    const headers = { 'X-Api-Key': 'first-secret', Authorization: 'Bearer second-secret', Cookie: 'third-secret', 'X-Env': 'prod' };
    const result = await attempt({ headers });
    expect(received[0]?.headers).toMatchObject({ 'x-api-key': 'first-secret', authorization: 'Bearer second-secret', cookie: 'third-secret', 'x-env': 'prod' });
    expect(result.attempt.request.headers).toMatchObject({ 'x-api-key': '***', authorization: '***', cookie: '***', 'x-env': 'prod' });
    expect(JSON.stringify(result)).not.toMatch(/-secret/);
  });

  it.each<Record<string, string>>([{ 'X-A': 'a\r\nx-other: b' }, { 'X-A': 'a\0' }, { 'a b': 'c' }, { 'a\r\nb': 'c' }, { 'Transfer-Encoding': 'chunked' }, { Upgrade: 'h2c' }, { 'Keep-Alive': '1' }])(
    'with the header %j is not made, should it ever come so far',
    async (headers) => {
      const result = await attempt({ headers });
      expect(result.verdict).toMatchObject({ success: false, error: { code: 'payload_failed' } });
      expect(recordable(result)).toBe(true);
      expect(received).toEqual([]);
    },
  );

  it('has the same id and another trace and timestamp the next time', async () => {
    await attempt();
    await attempt();
    const [first, second] = received;
    expect(first?.headers['webhook-id']).toBe(second?.headers['webhook-id']);
    expect(first?.headers['traceparent']).not.toBe(second?.headers['traceparent']);
  });

  it('that is refused tells the verdict and records the same error', async () => {
    status = 503;
    const result = await attempt();
    expect(result.verdict).toEqual({
      success: false,
      error: { code: 'bad_status', message: 'The subscriber answered 503.' },
      retryAfterMs: 7000,
    });
    expect(result.attempt).toMatchObject({ response: { status: 503 }, error: { code: 'bad_status', message: 'The subscriber answered 503.' } });
    expect(recordable(result)).toBe(true);
  });

  it("follows the subscription's own rule of success", async () => {
    status = 418;
    expect((await attempt({ success: { statuses: ['418'] } })).verdict).toEqual({ success: true });
  });

  it('without a response is recorded without one', async () => {
    const result = await attempt({ url: 'http://10.0.0.1/' });
    expect(result.attempt.response).toBeUndefined();
    expect(result.attempt.error?.code).toBe('address_blocked');
    expect(recordable(result)).toBe(true);
  });

  it('whose secret is broken fails alone, before anything is sent', async () => {
    const result = await attempt({ secrets: ['broken'] });
    expect(result.verdict).toMatchObject({ success: false, error: { code: 'auth_failed' } });
    expect(JSON.stringify(result)).not.toContain('broken');
    expect(recordable(result)).toBe(true);
    expect(received).toEqual([]);
  });

  it('proves who is sending, and records the proof by name only', async () => {
    const result = await attempt({ credentials: { 'X-Api': 'k-secret' } });
    expect(received[0]?.headers['x-api']).toBe('k-secret');
    expect(result.attempt.request.headers['x-api']).toBe('***');
    expect(JSON.stringify(result)).not.toContain('k-secret');
  });

  it('without credentials that can be had is not made', async () => {
    const subscription = {
      url,
      headers: {},
      timeoutMs: 3_000,
      secrets: [secret],
      get credentials(): never {
        throw new EgressError('invalid_secret', 'A secret of this subscription cannot be decrypted.');
      },
    };
    const result = await makeAttempt(sender, { eventId: 'evt_1', payload, subscription });
    expect(result.verdict).toMatchObject({ success: false, error: { code: 'auth_failed', message: expect.stringContaining('cannot be decrypted') } });
    expect(recordable(result)).toBe(true);
    expect(received).toEqual([]);
  });

  it('whose payload cannot be made is not made', async () => {
    const subscription = { url, headers: {}, timeoutMs: 3_000, secrets: [secret] };
    const result = await makeAttempt(sender, { eventId: 'evt_1', payload: { failed: 'there is no member "x"' }, subscription });
    expect(result.verdict).toEqual({ success: false, error: { code: 'payload_failed', message: 'there is no member "x"' } });
    expect(recordable(result)).toBe(true);
    expect(received).toEqual([]);
  });

  it('sends the headers of the format, and records the secret ones by name only', async () => {
    const subscription = { url, headers: {}, timeoutMs: 3_000, secrets: [secret] };
    const headers = { 'ce-id': 'evt_1', 'ce-partitionkey': 'k', 'x-total': '12', 'x-token': 't-secret' };
    const result = await makeAttempt(sender, { eventId: 'evt_1', payload: { ...payload, headers }, subscription });
    expect(received[0]?.headers).toMatchObject(headers);
    expect(result.attempt.request.headers).toMatchObject({ ...headers, 'x-token': '***' });
  });

  it('lets no header of the format take the place of one of the subscription, nor of what it proves itself with', async () => {
    const subscription = { url, headers: { 'X-Shop': 'own' }, timeoutMs: 3_000, secrets: [secret], credentials: { 'X-API-Key': 'k-secret' } };
    const headers = { 'x-shop': 'of the event', 'x-api-key': 'of the event', 'x-other': 'of the event' };
    const result = await makeAttempt(sender, { eventId: 'evt_1', payload: { ...payload, headers }, subscription });
    expect(received[0]?.headers).toMatchObject({ 'x-shop': 'own', 'x-api-key': 'k-secret', 'x-other': 'of the event' });
    expect(result.attempt.request.headers).toMatchObject({ 'x-shop': 'own', 'x-api-key': '***', 'x-other': 'of the event' });
  });
});
