import { createServer, type IncomingHttpHeaders, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { testedAttempt, type SubscriptionState, type TestedAttempt, type TestSubscriptionBody } from '@posthorn/contracts';
import { HttpSender, parseCidrs } from '@posthorn/egress';
import { Webhook } from 'standardwebhooks';
import { exampleTypeOf, TestSending } from './test-sending.js';

const secret = `whsec_${Buffer.alloc(32, 9).toString('base64')}`;

let server: Server;
let http: HttpSender;
let url: string;
let received: { headers: IncomingHttpHeaders; body: string }[];

beforeEach(async () => {
  received = [];
  server = createServer((request, response) => {
    let body = '';
    request.setEncoding('utf8').on('data', (text: string) => (body += text));
    request.on('end', () => {
      received.push({ headers: request.headers, body });
      response.writeHead(410).end('gone');
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
  http = new HttpSender({ policy: { allowHttp: true, allowedAddresses: parseCidrs('127.0.0.0/8') } });
});

afterEach(async () => {
  await http.close();
  server.close();
});

const send = (rest: Partial<SubscriptionState>, body: TestSubscriptionBody = {}, example?: unknown): Promise<TestedAttempt> => {
  const state: SubscriptionState = {
    kind: 'subscription',
    id: 'sub_a',
    tenant: 'acme',
    name: 'a',
    type: 'rest',
    url,
    event_types: ['invoice.*', 'order.made'],
    filter: 'false',
    enabled: false,
    enabled_since: '2026-01-01T00:00:00.000Z',
    payload: { format: 'standard' },
    authentication: { type: 'none' },
    headers: {},
    policy: { timeout_ms: 3_000, max_concurrency: 10, ordering: 'none', disable_after_ms: 0 },
    metadata: {},
    signing_secrets: [{ scheme: 'v1', key_id: 'a', ciphertext: secret }],
    created_at: '2026-01-01T00:00:00.000Z',
    updated_at: '2026-01-01T00:00:00.000Z',
    ...rest,
  };
  const tests = new TestSending({
    find: () => Promise.resolve({ state }),
    exampleOf: (tenant, type) => Promise.resolve(tenant === 'acme' && type === 'order.made' ? example : undefined),
    decrypt: ({ ciphertext }) => ciphertext,
    http,
  });
  return tests.send({ tenant: 'acme', id: 'sub_a' }, body);
};

describe('a test', () => {
  it('sends a signed example, also to a disabled subscription, and answers with the attempt', async () => {
    const answer = await send({}, {}, { total: 1 });
    expect(testedAttempt.parse(answer)).toMatchObject({ trigger: 'test', round: 0, number: 1, response: { status: 410, body: 'gone' }, error: { code: 'bad_status' } });
    const [request] = received;
    expect(new Webhook(secret).verify(request?.body ?? '', request?.headers as Record<string, string>)).toMatchObject({ type: 'order.made', data: { total: 1 } });
  });

  it('sends what it is given', async () => {
    await send({}, { event_type: 'invoice.paid', data: [1] });
    expect(JSON.parse(received[0]?.body ?? '')).toMatchObject({ type: 'invoice.paid', data: [1] });
  });

  it('has data of its own when there is no example', async () => {
    await send({ payload: { format: 'raw' } });
    expect(received[0]?.body).toBe('{"test":true}');
  });

  it('proves who is sending, in the format asked for', async () => {
    const authentication = { type: 'bearer' as const, token: { key_id: 'a', ciphertext: 'b-secret' } };
    const answer = await send({ authentication, payload: { format: 'transform', transform: '{"what": event.type}' } });
    expect(received[0]?.headers.authorization).toBe('Bearer b-secret');
    expect(received[0]?.body).toBe('{"what":"order.made"}');
    expect(JSON.stringify(answer)).not.toContain('b-secret');
  });

  it('tells of a payload that cannot be made', async () => {
    const answer = await send({ payload: { format: 'transform', transform: 'data.missing' } });
    expect(answer.error).toMatchObject({ code: 'payload_failed' });
    expect(received).toEqual([]);
  });

  it.each<[string, Partial<SubscriptionState>]>([
    ['address_blocked', { url: 'http://10.0.0.1/' }],
    ['address_blocked', { url: 'http://[::1]/' }],
    ['address_blocked', { url: 'https://user:password@example.com/' }],
    ['connection_refused', { url: 'http://127.0.0.1:1/' }],
    ['auth_failed', { signing_secrets: [{ scheme: 'v1', key_id: 'a', ciphertext: 'broken' }] }],
    ['auth_failed', { authentication: { type: 'oauth2_client_credentials', token_url: 'http://10.0.0.1/', client_id: 'c', client_secret: { key_id: 'a', ciphertext: 's' } } }],
    ['payload_failed', { payload: { format: 'transform', transform: 'request(1, {"Host": "x"})' } }],
  ])('tells %s as an attempt does: %j', async (code, rest) => {
    const answer = await send(rest);
    expect(testedAttempt.parse(answer)).toMatchObject({ trigger: 'test', error: { code } });
    expect(received).toEqual([]);
  });

  it.each([
    [['*'], 'posthorn.test'],
    [['*', 'invoice.*'], 'invoice.test'],
    [['invoice.*', 'order.made'], 'order.made'],
  ])('of %j is of type %s', (patterns, type) => expect(exampleTypeOf(patterns)).toBe(type));
});
