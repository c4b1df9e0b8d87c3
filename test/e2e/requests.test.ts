import { verify as verifyAsymmetric, createPublicKey } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { createServer, type Server } from 'node:https';
import { join } from 'node:path';
import type { AddressInfo } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals';
import type { AttemptView, CreateSubscriptionBody, FilterCheckResult, SecretView, TestedAttempt } from '@posthorn/contracts';
import { posthornDir, startReceiver, type Received, type Receiver } from '@posthorn/testkit';
import { Client } from 'pg';
import { certificates } from '../support/certificates.js';
import { Posthorn, type Subscription } from '../support/posthorn.js';
import { findVerifiers, type Verifier } from '../support/verifiers.js';

jest.setTimeout(240_000);

const TENANT = '/v1/tenants/default';
const TYPE = 'invoice.paid';
const TIME = '2026-01-02T03:04:05.678Z';
/** Digits, order, spelling and characters that no parser would bring back, or that one encoding has and another has not. */
const DATA = String.raw`{"z":12345678901234567890,"a":1.0, "name":"Zoë 🦔","e":"\u00e9\/","shop":17}`;
const BYTES = Buffer.from([0, 255, 10, 13, 34, 128]);

type Payload = NonNullable<CreateSubscriptionBody['payload']>;
type Authentication = NonNullable<CreateSubscriptionBody['authentication']>;

const payloads: Readonly<Record<Payload['format'], Payload>> = {
  standard: { format: 'standard' },
  cloudevents: { format: 'cloudevents' },
  cloudevents_binary: { format: 'cloudevents_binary' },
  context: { format: 'context', context: { shop: 'Zürich' } },
  raw: { format: 'raw' },
  transform: { format: 'transform', transform: 'request({"who": data.name, "id": event.id}, {"X-Shop": string(data.shop), "x-fixed": "of the event"})' },
};

const HEADER_SECRET = 'requests-header-secret';
const CLIENT_SECRET = 'requests-oauth-secret';
const TOKENS = ['requests-first-token', 'requests-second-token'];

let posthorn: Posthorn;
let receiver: Receiver;
let mutual: Server;
const shownOverTls: { readonly path: string; readonly authorized: boolean; readonly subject: string | undefined }[] = [];
/** By the format of the one, or the authentication of the other, that sets it apart. */
const subscriptions = new Map<Payload['format'] | Authentication['type'], Subscription>();
let rotated: Subscription;
let newSecret: string;
let asymmetric: Subscription & { readonly public_key: string };
let verifiers: readonly Verifier[];
let missing: readonly string[];

const authentications = (): Readonly<Record<Authentication['type'], Authentication>> => ({
  none: { type: 'none' },
  api_key: { type: 'api_key', header: 'X-Shop-Key', key: 'requests-api-key' },
  token: { type: 'token', token: 'requests-auth-token' },
  basic: { type: 'basic', username: 'posthorn', password: 'requests-password' },
  bearer: { type: 'bearer', token: 'requests-bearer-token' },
  oauth2_client_credentials: { type: 'oauth2_client_credentials', token_url: `${receiver.url}/token`, client_id: 'posthorn', client_secret: CLIENT_SECRET, scope: 'hooks' },
  mtls: { type: 'mtls', certificate: certificates.client.certificate, private_key: certificates.client.key, ca: certificates.authority },
});

/** Nothing of these may be read anywhere but at the receiver. */
const SECRETS = ['requests-api-key', 'requests-auth-token', 'requests-password', Buffer.from('posthorn:requests-password').toString('base64'), 'requests-bearer-token', CLIENT_SECRET, ...TOKENS, HEADER_SECRET];
const PRIVATE_KEY_LINE = certificates.client.key.split('\n')[1] ?? '';

beforeAll(async () => {
  ({ found: verifiers, missing } = await findVerifiers());
  receiver = await startReceiver();
  const { certificate: cert, key } = certificates.receiver;
  mutual = createServer({ cert, key, ca: certificates.authority, requestCert: true, rejectUnauthorized: false }, (request, response) => {
    const socket = request.socket as TLSSocket;
    shownOverTls.push({ path: request.url ?? '', authorized: socket.authorized, subject: socket.getPeerCertificate().subject?.CN as string | undefined });
    request.resume().on('end', () => response.writeHead(socket.authorized ? 200 : 403).end());
  });
  await new Promise<void>((resolve) => mutual.listen(0, '127.0.0.1', resolve));
  receiver.replyAt('/token', ...TOKENS.map((access_token) => ({ body: JSON.stringify({ access_token, token_type: 'Bearer', expires_in: 3600 }) })));
  receiver.replyAt('/authentication/oauth2_client_credentials', { status: 401 }, { status: 200 });

  posthorn = await Posthorn.start('requests');
  for (const [format, payload] of Object.entries(payloads)) {
    const subscription = { url: `${receiver.url}/format/${format}`, event_types: [TYPE, 'file.stored'], payload, headers: { 'X-Fixed': 'own', 'X-Api-Token': HEADER_SECRET } };
    subscriptions.set(payload.format, await posthorn.subscribe(subscription));
  }
  for (const authentication of Object.values(authentications())) {
    const { type } = authentication;
    const origin = type === 'mtls' ? `https://127.0.0.1:${(mutual.address() as AddressInfo).port}` : receiver.url;
    subscriptions.set(type, await posthorn.subscribe({ url: `${origin}/authentication/${type}`, event_types: [TYPE], authentication }));
  }
  rotated = await posthorn.subscribe({ url: `${receiver.url}/rotated`, event_types: [TYPE] });
  newSecret = (await posthorn.api.ask<{ secret: string }>('POST', `${TENANT}/subscriptions/${rotated.id}/rotate-secret`, {})).secret;
  asymmetric = (await posthorn.subscribe({ url: `${receiver.url}/asymmetric`, event_types: [TYPE], signature: 'v1a' })) as typeof asymmetric;

  await posthorn.api.ask('POST', `${TENANT}/events`, `{"id":"requests-1","type":"${TYPE}","time":"${TIME}","source":"/shop","subject":"Zoë 1%","data":${DATA}}`);
});

afterAll(async () => {
  await posthorn?.close();
  await receiver?.close();
  mutual?.close();
});

const requestAt = (path: string, id = 'requests-1'): Promise<Received> =>
  receiver.waitFor((request) => request.path === path && request.headers['webhook-id'] === id, { timeoutMs: 30_000 });

const deliveredTo = async (type: Authentication['type']): Promise<AttemptView> => {
  const { id } = subscriptionOf(type);
  const deliveries = await posthorn.deliveriesOf('requests-1', (all) => all.some(({ subscription_id, status }) => subscription_id === id && status === 'delivered'));
  const delivery = deliveries.find(({ subscription_id }) => subscription_id === id);
  const attempts = delivery === undefined ? [] : await posthorn.attemptsOf(delivery);
  const [attempt] = attempts;
  if (attempt === undefined || attempts.length > 1) throw new Error(`${type} took ${attempts.length} attempts`);
  return attempt;
};

const subscriptionOf = (what: Payload['format'] | Authentication['type']): Subscription => {
  const subscription = subscriptions.get(what);
  if (subscription === undefined) throw new Error('unreachable: there is one for each');
  return subscription;
};

/** What is wrong with a CloudEvent, by the specification 1.0.2: sections 2.2 (types), 3 (attribute names, required attributes). */
const cloudEventFaults = (event: Readonly<Record<string, unknown>>): readonly string[] => {
  const faults: string[] = [];
  for (const name of ['id', 'source', 'specversion', 'type']) if (typeof event[name] !== 'string' || event[name] === '') faults.push(`${name} is not a text`);
  if (event['specversion'] !== '1.0') faults.push('specversion');
  for (const name of Object.keys(event)) if (!/^[a-z0-9]+$/.test(name) && name !== 'data_base64') faults.push(`the name ${name}`);
  if ('data' in event && 'data_base64' in event) faults.push('data twice');
  if (typeof event['time'] === 'string' && !/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)$/.test(event['time'])) faults.push('time');
  return faults;
};

/** HTTP binding, 3.1.3.2. */
const attributesIn = ({ headers }: Received): Record<string, string> =>
  Object.fromEntries(Object.entries(headers).flatMap(([name, value]) => (name.startsWith('ce-') ? [[name.slice(3), decodeURIComponent(String(value))]] : [])));

describe('a body in the format', () => {
  it('standard has the data byte for byte', async () => {
    const { body, headers } = await requestAt('/format/standard');
    expect(body.toString()).toBe(`{"type":"${TYPE}","timestamp":"${TIME}","data":${DATA}}`);
    expect(headers['content-type']).toBe('application/json');
  });

  it('cloudevents is a CloudEvent in structured mode', async () => {
    const { body, headers } = await requestAt('/format/cloudevents');
    expect(headers['content-type']).toBe('application/cloudevents+json');
    const event = JSON.parse(body.toString()) as Record<string, unknown>;
    expect(cloudEventFaults(event)).toEqual([]);
    expect(event).toMatchObject({ id: 'requests-1', source: '/shop', type: TYPE, time: TIME, subject: 'Zoë 1%', datacontenttype: 'application/json' });
    expect(body.toString().endsWith(`,"data":${DATA}}`)).toBe(true);
  });

  it('cloudevents_binary is a CloudEvent in binary mode', async () => {
    const request = await requestAt('/format/cloudevents_binary');
    expect(request.body.toString()).toBe(DATA);
    expect(request.headers['content-type']).toBe('application/json');
    const attributes = attributesIn(request);
    expect(cloudEventFaults(attributes)).toEqual([]);
    expect(attributes).toEqual({ specversion: '1.0', id: 'requests-1', source: '/shop', type: TYPE, time: TIME, subject: 'Zoë 1%' });
  });

  it('context has the context beside the data', async () => {
    const { body } = await requestAt('/format/context');
    expect(body.toString()).toBe(`{"event_time":"${TIME}","event_type":"${TYPE}","current_context":{"shop":"Zürich"},"data":${DATA}}`);
  });

  it('raw is the data', async () => {
    const { body, headers } = await requestAt('/format/raw');
    expect([headers['content-type'], body.toString()]).toEqual(['application/json', DATA]);
  });

  it('transform is what the expression makes, with its headers', async () => {
    const { body, headers } = await requestAt('/format/transform');
    expect(body.toString()).toBe('{"who":"Zoë 🦔","id":"requests-1"}');
    expect(headers).toMatchObject({ 'content-type': 'application/json', 'x-shop': '17', 'x-fixed': 'own' });
  });

  it('each carries bytes that are no text', async () => {
    const headers = { 'ce-specversion': '1.0', 'ce-id': 'requests-2', 'ce-source': '/files', 'ce-type': 'file.stored', 'content-type': 'application/octet-stream' };
    const response = await fetch(`${posthorn.services.gateway.url}${TENANT}/events`, { method: 'POST', headers: { ...headers, ...posthorn.api.authorization, ...posthorn.api.position }, body: BYTES });
    expect(response.status).toBe(202);
    const base64 = BYTES.toString('base64');
    for (const format of ['raw', 'cloudevents_binary'] as const) {
      const request = await requestAt(`/format/${format}`, 'requests-2');
      expect([request.body, request.headers['content-type']]).toEqual([BYTES, 'application/octet-stream']);
    }
    for (const format of ['standard', 'cloudevents', 'context'] as const) {
      const { body } = await requestAt(`/format/${format}`, 'requests-2');
      expect(JSON.parse(body.toString())).toMatchObject({ datacontenttype: 'application/octet-stream', data_base64: base64 });
    }
  });
});

describe('a receiver that asks who is sending', () => {
  it.each<[Authentication['type'], Record<string, string>]>([
    ['api_key', { 'x-shop-key': 'requests-api-key' }],
    ['token', { 'x-auth-token': 'requests-auth-token' }],
    ['basic', { authorization: `Basic ${Buffer.from('posthorn:requests-password').toString('base64')}` }],
    ['bearer', { authorization: 'Bearer requests-bearer-token' }],
  ])('is told by %s', async (type, proof) => {
    const { headers } = await requestAt(`/authentication/${type}`);
    expect(headers).toMatchObject(proof);
  });

  it('is told nothing but the signature without any', async () => {
    const { headers } = await requestAt('/authentication/none');
    expect(Object.keys(headers).toSorted()).toEqual(
      ['connection', 'content-length', 'content-type', 'host', 'traceparent', 'user-agent', 'webhook-id', 'webhook-signature', 'webhook-timestamp'].toSorted(),
    );
  });

  it('is told by an access token, a fresh one at once where the first is not taken any more', async () => {
    await deliveredTo('oauth2_client_credentials');
    const requests = receiver.requests.filter(({ path }) => path === '/authentication/oauth2_client_credentials');
    expect(requests.map(({ headers }) => headers.authorization)).toEqual(TOKENS.map((token) => `Bearer ${token}`));
    const asked = receiver.requests.find(({ path }) => path === '/token');
    expect(asked?.headers).toMatchObject({ authorization: `Basic ${Buffer.from(`posthorn:${CLIENT_SECRET}`).toString('base64')}`, 'content-type': 'application/x-www-form-urlencoded' });
    expect(asked?.body.toString()).toBe('grant_type=client_credentials&scope=hooks');
  });

  it('is shown a certificate, and is itself certified by the authority of the subscription', async () => {
    await deliveredTo('mtls');
    expect(shownOverTls).toEqual([{ path: '/authentication/mtls', authorized: true, subject: 'sender' }]);
  });
});

const tested = ({ id }: Subscription): Promise<TestedAttempt> =>
  posthorn.api.ask<TestedAttempt>('POST', `${TENANT}/subscriptions/${id}/test`, { event_type: TYPE, data: JSON.parse(DATA) as unknown });

describe('a test of a subscription', () => {
  it.each(Object.keys(payloads) as Payload['format'][])('is sent in the format %s, signed', async (format) => {
    const subscription = subscriptionOf(format);
    const answer = await tested(subscription);
    expect(answer).toMatchObject({ trigger: 'test', response: { status: 200 } });
    const request = await requestAt(`/format/${format}`, answer.request.headers['webhook-id']);
    expect(receiver.verify(request, subscription.secret)).toEqual({ valid: true });
    expect(request.headers).toMatchObject({ 'x-fixed': 'own' });
  });

  it.each<Authentication['type']>(['none', 'api_key', 'token', 'basic', 'bearer', 'oauth2_client_credentials', 'mtls'])('proves who is sending by %s', async (type) => {
    expect(await tested(subscriptionOf(type))).toMatchObject({ response: { status: 200 } });
  });

  it('tells in the codes of an attempt why it failed', async () => {
    const nowhere = await posthorn.subscribe({ url: 'http://127.0.0.1:1/', event_types: ['other.type'] });
    expect(await tested(nowhere)).toMatchObject({ error: { code: 'connection_refused' } });
    const unmade = await posthorn.subscribe({ url: receiver.url, event_types: ['other.type'], payload: { format: 'transform', transform: 'request(data, {"x-name": data.name})' } });
    expect(await tested(unmade)).toMatchObject({ error: { code: 'payload_failed', message: expect.stringContaining('the header "x-name" cannot be sent') } });
  });
});

const check = (body: object): Promise<FilterCheckResult> => posthorn.api.ask('POST', `${TENANT}/filter-check`, { ...body, event: { type: TYPE, data: { shop: 17 } } });

describe('an expression', () => {
  it('shows its result, its headers and what it costs before it is relied on', async () => {
    expect(await check({ filter: 'data.shop == 17' })).toEqual({ matches: true, cost: 0 });
    expect(await check({ transform: 'request(data.shop, {"X-Shop": string(data.shop)})' })).toEqual({ result: 17, headers: { 'x-shop': '17' }, cost: expect.any(Number) });
  });

  it('that would run out of steps on any ordinary event is not taken', async () => {
    const filter = 'data.a.exists(x, x.b.exists(y, y.c.exists(z, z == 1)))';
    const { status, body } = await posthorn.api.call('POST', `${TENANT}/subscriptions`, { name: 'slow', url: receiver.url, event_types: ['*'], filter });
    expect([status, body]).toMatchObject([422, { errors: [{ path: 'filter', message: expect.stringMatching(/^line 1, column 32: This takes too long: up to \d+ steps/) }] }]);
  });
});

/** Requests as they came, each with what its receiver knows. */
const signedRequests = async (): Promise<readonly (readonly [Received, string])[]> => {
  const formats = await Promise.all((Object.keys(payloads) as Payload['format'][]).map(async (format) => [await requestAt(`/format/${format}`), subscriptionOf(format).secret] as const));
  const rotation = await requestAt('/rotated');
  return [...formats, [rotation, rotated.secret], [rotation, newSecret]];
};

const broken = ([request, secret]: readonly [Received, string]): readonly (readonly [Received, string])[] => [
  [{ ...request, body: Buffer.concat([request.body, Buffer.from(' ')]) }, secret],
  [{ ...request, headers: { ...request.headers, 'webhook-id': 'requests-3' } }, secret],
  [{ ...request, headers: { ...request.headers, 'webhook-timestamp': String(Number(request.headers['webhook-timestamp']) - 1) } }, secret],
];

describe('a signature', () => {
  it('can be looked at in two languages besides ours', () => {
    if (verifiers.length < 2) throw new Error(`Two of Java, Python and Go are needed, with Maven, pip and the module proxy: ${missing.join('; ')}`);
    expect(verifiers.length).toBeGreaterThanOrEqual(2);
  });

  it('is taken by the library of each language, the old and the new one of a rotation', async () => {
    const requests = await signedRequests();
    expect(requests.length).toBe(8);
    for (const { name, verify } of verifiers) expect([name, ...(await verify(requests))]).toEqual([name, ...requests.map(() => 'valid')]);
  });

  it('is taken by none of them from another, or for another body, id or time', async () => {
    const requests = await signedRequests();
    const wrong = [...requests.flatMap(broken), ...requests.map(([request]) => [request, `whsec_${Buffer.alloc(32, 1).toString('base64')}`] as const)];
    for (const { name, verify } of verifiers) expect([name, ...(await verify(wrong))].filter((verdict) => verdict === 'valid')).toEqual([]);
  });

  it('of Ed25519 is taken by what each language has of its own, and by none when anything is changed', async () => {
    const request = await requestAt('/asymmetric');
    const { public_key } = await posthorn.api.get<SecretView>(`${TENANT}/subscriptions/${asymmetric.id}/secret`);
    const own = public_key ?? '';
    expect(own).toBe(asymmetric.public_key);
    const x = Buffer.from(own.slice('whpk_'.length), 'base64').toString('base64url');
    const key = createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x }, format: 'jwk' });
    const [scheme, signature = ''] = String(request.headers['webhook-signature']).split(',');
    const signed = Buffer.concat([Buffer.from(`requests-1.${String(request.headers['webhook-timestamp'])}.`), request.body]);
    expect([scheme, verifyAsymmetric(null, signed, key, Buffer.from(signature, 'base64'))]).toEqual(['v1a', true]);
    const able = verifiers.filter(({ knowsV1a }) => knowsV1a);
    expect(able.length).toBeGreaterThan(0);
    for (const { verify } of able) {
      expect(await verify([[request, own]])).toEqual(['valid']);
      expect((await verify(broken([request, own]))).filter((verdict) => verdict === 'valid')).toEqual([]);
    }
  });
});

/** Those that can be read in a text; a column of bytes is shown in hexadecimal. */
const readIn = (text: string): readonly string[] =>
  [...SECRETS, PRIVATE_KEY_LINE, rotated.secret, newSecret].filter((secret) => text.includes(secret) || text.includes(Buffer.from(secret).toString('hex')));
/** A custom header is configuration, which its owner may read; what it says is for nobody's eyes but in what was made of it. */
const readInConfiguration = (text: string): readonly string[] => readIn(text).filter((secret) => secret !== HEADER_SECRET);

describe('a secret', () => {
  it('is recorded by name only', async () => {
    expect((await deliveredTo('bearer')).request.headers).toMatchObject({ authorization: '***' });
    expect((await deliveredTo('api_key')).request.headers).toMatchObject({ 'x-shop-key': '***' });
    expect(await deliveredTo('oauth2_client_credentials')).toMatchObject({ request: { headers: { authorization: '***' } }, response: { status: 200 } });
  });

  it('stands in no log, no row of a database and no record', async () => {
    for (const { type } of Object.values(authentications())) await deliveredTo(type);
    const logs = join(posthornDir, 'test', 'logs', 'requests');
    for (const file of readdirSync(logs)) expect([file, readIn(readFileSync(join(logs, file), 'utf8'))]).toEqual([file, []]);

    const database = new Client(posthorn.databaseUrl);
    await database.connect();
    try {
      const { rows: tables } = await database.query<{ name: string }>(
        `select format('%I.%I', schemaname, tablename) as name from pg_tables where schemaname not in ('pg_catalog', 'information_schema')`,
      );
      expect(tables.length).toBeGreaterThan(5);
      for (const { name } of tables) {
        const { rows } = await database.query<{ row: string }>(`select t::text as row from ${name} t`);
        const text = rows.map(({ row }) => row).join('\n');
        expect([name, name.startsWith('registry.') ? readInConfiguration(text) : readIn(text)]).toEqual([name, []]);
      }
    } finally {
      await database.end();
    }
    for (const topic of ['registry.log', 'registry.state'] as const) expect([topic, readInConfiguration(JSON.stringify(await posthorn.recordsOf(topic)))]).toEqual([topic, []]);
    expect(readIn(JSON.stringify(await posthorn.recordsOf('deliveries.attempted')))).toEqual([]);
  });
});
