import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals';
import { topics, type CreateSubscriptionBody, type TopicName } from '@posthorn/contracts';
import { eventually, startOtlpEndpoint, startReceiver, type OtlpEndpoint, type Receiver } from '@posthorn/testkit';
import { canariesIn } from '../support/canary.js';
import { certificates } from '../support/certificates.js';
import { Posthorn } from '../support/posthorn.js';
import { serviceNames } from '../support/service.js';

jest.setTimeout(240_000);

const TENANT = '/v1/tenants/default';
const ENCRYPTION_KEY = randomBytes(32).toString('base64');

/** Long enough to be nobody else's, with characters that encodings change, of those that tokens may have. */
const canary = (name: string): string => `${name}/+~${randomBytes(9).toString('base64url')}`;

/** Known to whoever set them, and to whom they are for. */
const secrets: Record<string, string> = {
  'header key': canary('key'),
  token: canary('token'),
  password: canary('password'),
  bearer: canary('bearer'),
  'client secret': canary('client'),
  'access token': canary('access'),
  'private key': certificates.client.key.split('\n')[1] ?? '',
  'signing secret': randomBytes(24).toString('base64'),
  'new signing secret': randomBytes(24).toString('base64'),
  'refused password': canary('refused'),
  'wrong key': canary('wrong'),
  'exporter header': canary('exporter'),
  'encryption key': ENCRYPTION_KEY,
};

const secret = (name: string): string => secrets[name] ?? '';

/** What others than those it is for may find only where it is kept. A subscription's own headers are no secrets: whoever may read the subscription reads them. */
const payloads = {
  data: canary('data'),
  'refused data': canary('refused-data'),
  'broken text': canary('broken'),
  answer: canary('answer'),
  query: canary('query'),
  'own header': canary('header'),
};

let posthorn: Posthorn;
let receiver: Receiver;
let endpoint: OtlpEndpoint;

beforeAll(async () => {
  [receiver, endpoint] = await Promise.all([startReceiver(), startOtlpEndpoint()]);
  posthorn = await Posthorn.start('secrets', {
    LOG_LEVEL: 'debug',
    OTEL_EXPORTER_OTLP_ENDPOINT: endpoint.url,
    OTEL_EXPORTER_OTLP_HEADERS: `x-key=${encodeURIComponent(secret('exporter header'))}`,
    OTEL_TRACES_SAMPLER_ARG: '1',
    POSTHORN_ENCRYPTION_KEYS: `k1:${ENCRYPTION_KEY}`,
  });
  secrets['admin key'] = (posthorn.api.authorization['authorization'] ?? '').slice('Bearer '.length);
  secrets['database password'] = new URL(posthorn.databaseUrl).password;
  await subscriptionsOfEveryKind();
  await keys();
  await events();
  await refusals();
});

afterAll(async () => {
  await posthorn?.close();
  await Promise.all([receiver?.close(), endpoint?.close()]);
});

type Authentication = NonNullable<CreateSubscriptionBody['authentication']>;

/** Each fails once, with an answer that quotes what it was sent, and is tried again. */
const subscriptionsOfEveryKind = async (): Promise<void> => {
  const authentications: readonly Authentication[] = [
    { type: 'none' },
    { type: 'api_key', header: 'X-Shop-Key', key: secret('header key') },
    { type: 'token', token: secret('token') },
    { type: 'basic', username: 'posthorn', password: secret('password') },
    { type: 'bearer', token: secret('bearer') },
    { type: 'oauth2_client_credentials', token_url: `${receiver.url}/issuer`, client_id: 'posthorn', client_secret: secret('client secret') },
    { type: 'oauth2_client_credentials', token_url: `${receiver.url}/refusing-issuer`, client_id: 'posthorn', client_secret: secret('client secret') },
    { type: 'mtls', certificate: certificates.client.certificate, private_key: certificates.client.key, ca: certificates.authority },
  ];
  receiver.replyAt('/issuer', { body: JSON.stringify({ access_token: secret('access token'), token_type: 'Bearer' }) });
  receiver.replyAt('/refusing-issuer', { status: 400, body: JSON.stringify({ error: 'invalid_client', error_description: payloads.answer }) });
  const query = `?q=${encodeURIComponent(payloads.query)}`;
  for (const [index, authentication] of authentications.entries()) {
    const path = `/${index}${query}`;
    receiver.replyAt(path, { status: 500, body: payloads.answer }, { status: 200, body: payloads.answer });
    // What speaks no TLS is met with the client's certificate in hand, and fails.
    const origin = authentication.type === 'mtls' ? receiver.url.replace('http:', 'https:') : receiver.url;
    await posthorn.subscribe({
      url: origin + path,
      event_types: ['canary'],
      authentication,
      headers: { 'X-Api-Token': payloads['own header'] },
      policy: { retry_schedule: ['1s'] },
    });
  }
  const { id } = await posthorn.subscribe({ url: `${receiver.url}/rotated`, event_types: ['canary'], secret: `whsec_${secret('signing secret')}` });
  await posthorn.api.ask('POST', `${TENANT}/subscriptions/${id}/rotate-secret`, { secret: `whsec_${secret('new signing secret')}` });
  await posthorn.api.ask('POST', `${TENANT}/subscriptions/${id}/test`, { event_type: 'canary', data: payloads.data });
  const refused = await posthorn.api.call('POST', `${TENANT}/subscriptions`, {
    name: 'x',
    url: `${receiver.url}/x${query}`,
    event_types: ['canary'],
    authentication: { type: 'basic', username: 'a:b', password: secret('refused password') },
  });
  expect(refused.status).toBe(422);
};

const keys = async (): Promise<void> => {
  const { key } = await posthorn.api.ask<{ key: string }>('POST', '/v1/api-keys', { name: 'canary', scopes: ['admin'], tenant: 'default' });
  const { token } = await posthorn.apiOf(key).ask<{ token: string }>('POST', `${TENANT}/portal-tokens`, { scopes: ['audit:read'] });
  Object.assign(secrets, { 'API key': key, 'portal token': token });
  expect((await posthorn.apiOf(token).call('GET', `${TENANT}/deliveries`)).status).toBe(200);
  // Where keys do not belong, and keys that are none.
  for (const misplaced of [key, token]) {
    for (const path of [`${TENANT}/deliveries?key=${misplaced}`, `${TENANT}/deliveries/${misplaced}`, `/v1/tenants/${misplaced}/events`, `${TENANT}/events/${misplaced}/deliveries`]) {
      await posthorn.api.call('GET', path);
    }
  }
  expect((await posthorn.api.call('GET', `${TENANT}/deliveries`, undefined, { authorization: `Bearer ${secret('wrong key')}` })).status).toBe(401);
};

const published = (id: string): string => JSON.stringify({ id, type: 'canary', data: { canary: payloads.data } });

const events = async (): Promise<void> => {
  await posthorn.api.ask('POST', `${TENANT}/events`, published('by-rest'));
  await posthorn.api.ask('POST', `${TENANT}/events/batch`, { events: [JSON.parse(published('by-batch'))] });
  await posthorn.produce({ value: published('by-kafka'), headers: { 'x-own': payloads.data } });
  for (const id of ['by-rest', 'by-batch', 'by-kafka']) {
    const deliveries = await posthorn.deliveriesOf(id, (all) => all.length === 9 && all.every(({ status }) => status === 'delivered' || status === 'failed'));
    expect(deliveries.filter(({ status }) => status === 'delivered')).toHaveLength(7);
  }
};

const refusals = async (): Promise<void> => {
  const tenant = 'strict';
  await posthorn.api.ask('POST', '/v1/tenants', { id: tenant, name: tenant, settings: { schema_policy: 'reject' } });
  const schema = { type: 'object', properties: { a: { type: 'number' }, b: { enum: ['x'] }, c: { pattern: '^x$' } }, additionalProperties: false };
  await posthorn.api.ask('PUT', `/v1/tenants/${tenant}/event-types/canary`, { schema });
  const canary = payloads['refused data'];
  const values = [
    JSON.stringify({ id: 'misfit', type: 'canary', tenant, data: { a: canary, b: canary, c: canary } }),
    JSON.stringify({ id: 'no-type', data: canary }),
    JSON.stringify({ id: 'no-time', type: 'canary', time: canary, data: canary }),
    `{"id":"broken","type":"canary","data":"${payloads['broken text']}`,
    `${payloads['broken text']}`,
  ];
  for (const value of values) {
    await posthorn.produce({ value });
    expect((await posthorn.api.call('POST', `${value.includes(tenant) ? `/v1/tenants/${tenant}` : TENANT}/events`, value)).status).toBeGreaterThanOrEqual(400);
  }
  await eventually(async () => (await posthorn.recordsOf('events.rejected')).length === 2 * values.length, { timeoutMs: 30_000, everyMs: 200 });
  const [one] = await posthorn.api.list<{ id: string }>(`${TENANT}/rejected-events`);
  await posthorn.api.call('POST', `${TENANT}/rejected-events/${one?.id}/publish`);
  await posthorn.api.call('POST', `${TENANT}/filter-check`, { filter: 'data.a > 1', event: { type: 'canary', data: canary } });
};

const everything = (): Record<string, string> => ({ ...secrets, ...payloads });

describe('neither secrets nor payloads', () => {
  it.each(serviceNames)('are in the log of %s', (service) => {
    const { log } = posthorn.services[service];
    expect(log).toContain('"level":"debug"');
    expect(log.split('\n').filter((line) => canariesIn(line, everything()).length > 0)).toEqual([]);
  });

  it.each(serviceNames)('are in the metrics of %s', async (service) => {
    for (const accept of ['text/plain', 'application/openmetrics-text']) {
      const page = await (await fetch(`${posthorn.services[service].url}/metrics`, { headers: { accept } })).text();
      expect(page).toContain('posthorn_build_info');
      expect(canariesIn(page, everything())).toEqual([]);
    }
  });

  it('are in spans', async () => {
    const traced = (): readonly unknown[] => [...new Set(endpoint.spans.map(({ resource }) => resource['service.name']))].toSorted();
    await eventually(() => traced().length === 3, { timeoutMs: 30_000, describe: () => `spans of three services, not ${traced().join(', ')}` });
    expect(canariesIn(Buffer.concat(endpoint.bodies).toString('latin1'), everything())).toEqual([]);
  });

  it('are in what is said of the refused', async () => {
    const rejections = await posthorn.recordsOf<{ readonly reason: object; readonly tenant?: string; readonly event_id?: string }>('events.rejected');
    expect(rejections.filter(({ key, value }) => canariesIn(`${key} ${JSON.stringify({ ...value, value: undefined, headers: undefined })}`, everything()).length > 0)).toEqual([]);
  });
});

/**
 * What is kept in the clear by design: events where they are on their way, what was refused with its reason, what subscribers answered with the
 * addresses that were asked, and subscriptions but for their secrets. Whoever may read a topic may read that.
 */
const kept: Partial<Record<TopicName, readonly (keyof typeof payloads)[]>> = {
  'events.inbound': ['data', 'refused data', 'broken text'],
  'events.accepted': ['data'],
  'events.rejected': ['refused data', 'broken text'],
  'deliveries.requested': ['data'],
  'deliveries.delayed.1s': ['data'],
  'deliveries.attempted': ['answer', 'query'],
  'registry.log': ['query', 'own header'],
  'registry.state': ['query', 'own header'],
};

describe('a topic', () => {
  it.each(topics.map(({ name }) => name))('%s holds no secret in the clear, and of payloads what it is for', async (name) => {
    const bytes = await posthorn.everythingIn(name);
    expect(canariesIn(bytes, secrets)).toEqual([]);
    expect(canariesIn(bytes, payloads)).toEqual(kept[name] ?? []);
  });
});
