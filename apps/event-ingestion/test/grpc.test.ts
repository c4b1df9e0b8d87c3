import { randomBytes } from 'node:crypto';
import { Client, credentials, Metadata, status, type ServiceError, type StatusObject } from '@grpc/grpc-js';
import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals';
import { BadRequest, ErrorInfo, RetryInfo, Status } from '@posthorn/contracts/grpc';
import {
  PublishEventRequest,
  PublishEventResponse,
  PublishEventsRequest,
  PublishEventsResponse,
  PublishStreamRequest,
  PublishStreamResponse,
  type NewEvent,
  type PublishResult,
} from '@posthorn/contracts/grpc/ingestion';
import { DETAILS_KEY } from '@posthorn/service-kit/grpc';
import { API_KEY, openKafka, type Service, startService } from './support.js';

jest.setTimeout(60_000);

const prefix = `t${randomBytes(6).toString('hex')}`;
const SERVICE = '/posthorn.ingestion.v1.EventService';
const DATA = '{"z":12345678901234567890,"a":1.0, "é":"\\u00e9"}';

let kafka: Awaited<ReturnType<typeof openKafka>>;
let service: Service;
let client: Client;

beforeAll(async () => {
  kafka = await openKafka(prefix);
  await kafka.createTenant('acme');
  service = await startService(prefix);
  client = new Client(service.grpcAddress, credentials.createInsecure());
});

afterAll(async () => {
  client?.close();
  await service?.stop('SIGTERM');
  await kafka?.close();
});

const event = (given: Partial<Omit<NewEvent, 'data'>> & { data?: string | Uint8Array }): NewEvent => ({
  type: 'invoice.paid',
  time: undefined,
  headers: {},
  extensions: {},
  ...given,
  data: Buffer.from(given.data ?? '1'),
});

const acceptedWith = (id: string) => kafka.accepted.first(({ envelope }) => envelope.id === id);

const metadataOf = (key: string, more: Readonly<Record<string, string>> = {}): Metadata => {
  const metadata = new Metadata();
  if (key !== '') metadata.set('authorization', `Bearer ${key}`);
  for (const [name, value] of Object.entries(more)) metadata.set(name, value);
  return metadata;
};

type Options = { readonly to?: Client; readonly key?: string; readonly metadata?: Readonly<Record<string, string>> };

const call = (method: string, bytes: Uint8Array, { to = client, key = API_KEY, metadata }: Options = {}): Promise<Buffer> =>
  new Promise((resolve, reject) => {
    to.makeUnaryRequest(`${SERVICE}/${method}`, (sent: Buffer) => sent, (got) => got, Buffer.from(bytes), metadataOf(key, metadata), (error, answer) =>
      error ? reject(error) : resolve(answer ?? Buffer.alloc(0)),
    );
  });

const publish = async (given: NewEvent | undefined, { tenant = 'acme', ...options }: Options & { tenant?: string } = {}) =>
  PublishEventResponse.decode(await call('PublishEvent', PublishEventRequest.encode({ tenant, event: given, registry_position: undefined }).finish(), options));

const publishAll = async (events: NewEvent[], options?: Options) =>
  PublishEventsResponse.decode(await call('PublishEvents', PublishEventsRequest.encode({ tenant: 'acme', events, registry_position: undefined }).finish(), options));

const keyed = (data: string) => publishAll([event({ type: 'keyed', data: '1' }), event({ type: 'keyed', data })], { metadata: { 'idempotency-key': 'g-key' } });

/** What google.rpc.Status says of the error that a call ends with. */
const refusalOf = async (refused: Promise<unknown>) => {
  const error = await refused.then(
    () => {
      throw new Error('not refused');
    },
    (reason: unknown) => reason as ServiceError,
  );
  const [bytes] = error.metadata.get(DETAILS_KEY);
  const { details } = Status.decode(Buffer.from(bytes ?? ''));
  const find = (name: string): Uint8Array => details.find(({ type_url }) => type_url.endsWith(`.${name}`))?.value ?? new Uint8Array();
  return {
    code: error.code,
    reason: ErrorInfo.decode(find('ErrorInfo')).reason,
    fields: BadRequest.decode(find('BadRequest')).field_violations.map(({ field }) => field),
    retrySeconds: RetryInfo.decode(find('RetryInfo')).retry_delay?.seconds,
  };
};

const outcomeOf = ({ outcome }: PublishResult) => (outcome?.$case === 'error' ? { code: outcome.value.code, path: outcome.value.path } : outcome?.value);

describe('a call', () => {
  it('publishes an event with all that it says, its data byte for byte', async () => {
    const said = {
      id: 'g-all',
      time: new Date('2026-01-02T03:04:05.678Z'),
      source: '/shop',
      subject: 'order 17',
      key: 'customer-9',
      content_type: 'application/json',
      headers: { 'x-region': 'eu' },
      context_json: '{"user":1}',
      extensions: { comexample: 'é' },
      data: DATA,
    };
    expect(await publish(event(said))).toEqual({ id: 'g-all', warnings: [] });
    const { envelope, data, key } = await acceptedWith('g-all');
    expect(data.toString()).toBe(DATA);
    expect(key).toBe('customer-9');
    expect(envelope).toMatchObject({
      tenant: 'acme',
      type: 'invoice.paid',
      source: '/shop',
      subject: 'order 17',
      time: '2026-01-02T03:04:05.678Z',
      headers: { 'x-region': 'eu' },
      context: { user: 1 },
      extensions: { comexample: 'é' },
    });
  });

  it('publishes bytes that are no JSON', async () => {
    const bytes = new Uint8Array([0, 255, 10, 34]);
    await publish(event({ id: 'g-bytes', content_type: 'image/png', data: bytes }));
    expect((await acceptedWith('g-bytes')).data).toEqual(Buffer.from(bytes));
  });

  it('hands on the trace of its caller, and how far the registry must have been read', async () => {
    const traceparent = `00-${'a'.repeat(32)}-${'b'.repeat(16)}-01`;
    await publish(event({ id: 'g-trace' }), { metadata: { traceparent } });
    expect((await acceptedWith('g-trace')).envelope.traceparent).toBe(traceparent);
  });

  it.each<[string, NewEvent | undefined, string, string]>([
    ['no event', undefined, 'INVALID', 'event'],
    ['no type', event({ type: '' }), 'INVALID', 'event.type'],
    ['data that is not JSON', event({ data: '{' }), 'MALFORMED', 'event.data'],
    ['context that is not JSON', event({ context_json: '{' }), 'MALFORMED', 'event.context_json'],
    ['a context too deep', event({ context_json: '['.repeat(65) + ']'.repeat(65) }), 'INVALID', 'event.context_json'],
    ['a time that cannot be told', event({ time: new Date(-1e14) }), 'INVALID', 'event.time'],
    ['an extension that has the name of an attribute', event({ extensions: { id: 'another' } }), 'INVALID', 'event.extensions.id'],
    ['an extension in capitals', event({ extensions: { A: '' } }), 'INVALID', 'event.extensions.A'],
    ['300 KiB', event({ data: JSON.stringify('x'.repeat(300 * 1024)) }), 'TOO_LARGE', 'event.data'],
  ])('of %s is refused, and says where', async (_, given, reason, field) => {
    expect(await refusalOf(publish(given))).toMatchObject({ reason, fields: [field] });
  });

  it('that is refused can be found among the rejected, as REST would take it', async () => {
    await refusalOf(publish(event({ id: 'g-refused', type: 'NO', extensions: { comexample: 'x' }, context_json: '{"user":1}', data: DATA })));
    const rejection = await kafka.rejected.first(({ event_id }) => event_id === 'g-refused');
    expect(rejection).toMatchObject({ door: 'grpc', tenant: 'acme', reason: { code: 'invalid', path: 'event.type' }, headers: { 'content-type': 'application/cloudevents+json' } });
    expect(rejection.value).toContain(`"data":${DATA}}`);
    expect(JSON.parse(rejection.value ?? '')).toMatchObject({ specversion: '1.0', id: 'g-refused', type: 'NO', comexample: 'x', context: { user: 1 } });
  });

  it('about nobody is NOT_FOUND, without a key UNAUTHENTICATED', async () => {
    expect(await refusalOf(publish(event({}), { tenant: 'nobody' }))).toMatchObject({ code: status.NOT_FOUND });
    expect(await refusalOf(publish(event({}), { key: '' }))).toMatchObject({ code: status.UNAUTHENTICATED });
  });

  it('for somebody with a name of a megabyte can be found among the rejected', async () => {
    expect(await refusalOf(publish(event({ id: 'g-long' }), { tenant: 'x'.repeat(900_000) }))).toMatchObject({ code: status.NOT_FOUND });
    expect((await kafka.rejected.first(({ value }) => value?.includes('g-long') === true)).tenant).toBe('x'.repeat(256));
  });

  it('under a key is held to its data, too', async () => {
    expect(await keyed('2')).toEqual(await keyed('2'));
    expect(await refusalOf(keyed('3'))).toMatchObject({ reason: 'IDEMPOTENCY_CONFLICT' });
  });

  it('publishes many, each by itself', async () => {
    const { results } = await publishAll([event({ id: 'g-0' }), event({ type: 'NO' }), event({ id: 'g-2' })]);
    expect(results.map(outcomeOf)).toEqual(['g-0', { code: 'invalid', path: 'events[1].type' }, 'g-2']);
    await acceptedWith('g-2');
  });

  it.each([0, 1_001])('that publishes %i is refused', async (count) => {
    expect(await refusalOf(publishAll(Array.from({ length: count }, () => event({}))))).toMatchObject({ reason: 'INVALID', fields: ['events'] });
  });
});

const opened = (to = client, key = API_KEY) => {
  const stream = to.makeBidiStreamRequest(`${SERVICE}/PublishStream`, (sent: Buffer) => sent, (got: Buffer) => got, metadataOf(key));
  const heard: (readonly [sequence: number, outcome: ReturnType<typeof outcomeOf>])[] = [];
  const ended = new Promise<StatusObject>((resolve) => void stream.on('status', resolve));
  stream.on('data', (bytes: Buffer) => {
    const { sequence, result } = PublishStreamResponse.decode(bytes);
    heard.push([sequence, result && outcomeOf(result)]);
  });
  stream.on('error', () => undefined); // is told by its status
  const say = (sequence: number, given: NewEvent | undefined, tenant = 'acme') =>
    stream.write(Buffer.from(PublishStreamRequest.encode({ sequence, tenant, event: given, registry_position: undefined }).finish()));
  const hear = async (count: number): Promise<void> => {
    while (heard.length < count) await new Promise((resolve) => void stream.once('data', resolve));
  };
  return { stream, heard, say, hear, ended };
};

const stalled = (): number => kafka.accepted.all.filter(({ envelope }) => envelope.type === 'stalled.test').length;

/** However they ended: it is counted when nobody works on them any more. */
const streamsEnded = async (): Promise<number> => {
  const metrics = await (await fetch(`${service.url}/metrics`)).text();
  return [...metrics.matchAll(/^posthorn_grpc_request_duration_seconds_count\{.*PublishStream.*\} (\d+)$/gm)].reduce((sum, [, count]) => sum + Number(count), 0);
};

describe('a stream', () => {
  it('is answered event by event, and a broken one does not end it', async () => {
    const { stream, heard, say, hear, ended } = opened();
    say(7, event({ id: 's-7' }));
    await hear(1);
    say(8, event({ type: 'NO' }));
    say(9, undefined);
    say(10, event({ id: 's-10' }), 'nobody');
    say(11, event({ id: 's-11' }));
    stream.end();
    expect((await ended).code).toBe(status.OK);
    expect(Object.fromEntries(heard)).toEqual({
      7: 's-7',
      8: { code: 'invalid', path: 'event.type' },
      9: { code: 'invalid', path: 'event' },
      10: { code: 'unknown_tenant', path: 'tenant' },
      11: 's-11',
    });
    await acceptedWith('s-11');
  });

  it('of thousands is answered to the last after its half-close, and keeps the order of a key', async () => {
    const count = 5_000;
    const { stream, heard, say, ended } = opened();
    for (let n = 0; n < count; n++) {
      if (!say(n, event({ type: 'stream.test', key: 'k', data: String(n) }))) await new Promise((resolve) => void stream.once('drain', resolve));
    }
    stream.end();
    expect((await ended).code).toBe(status.OK);
    expect(new Set(heard.map(([sequence]) => sequence)).size).toBe(count);
    const mine = () => kafka.accepted.all.filter(({ envelope }) => envelope.type === 'stream.test').map(({ data }) => Number(data));
    await kafka.accepted.until(() => mine().length >= count);
    expect(mine()).toEqual(Array.from({ length: count }, (_, n) => n));
  });

  it('whose client does not read its answers is not read from either, and goes on when it does', async () => {
    const count = 40_000;
    const { stream, heard, say, ended } = opened();
    stream.pause();
    let said = 0;
    const saying = (async () => {
      for (; said < count; said++) {
        if (!say(said, event({ type: 'stalled.test', data: JSON.stringify('x'.repeat(200)) }))) await new Promise((resolve) => void stream.once('drain', resolve));
      }
      stream.end();
    })();
    // What is accepted stands still: until it has for half a second.
    let before = -1;
    while (stalled() === 0 || stalled() !== before) {
      before = stalled();
      await new Promise((resolve) => void setTimeout(resolve, 500));
    }
    expect(stalled()).toBeLessThan(count / 2);
    stream.resume();
    await saying;
    expect((await ended).code).toBe(status.OK);
    expect(heard).toHaveLength(count);
  });

  it('whose client goes away leaves nobody waiting', async () => {
    const before = await streamsEnded();
    const { stream, say, hear } = opened();
    for (let n = 0; n < 100; n++) say(n, event({ type: 'gone.test', data: String(n) }));
    await hear(1);
    stream.cancel();
    while ((await streamsEnded()) === before) await new Promise((resolve) => void setImmediate(resolve));
    expect(await publish(event({ id: 's-after' }))).toMatchObject({ id: 's-after' });
  });
});

describe('a process with limits', () => {
  let limited: Service;
  let to: Client;

  beforeAll(async () => {
    limited = await startService(prefix, { POSTHORN_RATE_LIMIT_PER_TENANT: '1' });
    to = new Client(limited.grpcAddress, credentials.createInsecure());
  });

  afterAll(async () => {
    to?.close();
    await limited?.stop('SIGTERM');
  });

  it('counts events, and says when to come again, by either door', async () => {
    const startedMs = performance.now();
    await publishAll(Array.from({ length: 30 }, () => event({})), { to });
    const { retrySeconds, ...refusal } = await refusalOf(publish(event({}), { to }));
    const passedMs = performance.now() - startedMs;
    expect(refusal).toEqual({ code: status.RESOURCE_EXHAUSTED, reason: 'RATE_LIMITED', fields: [] });
    // Thirty seconds' worth has come at once; of them no more is over than has passed here meanwhile.
    expect(retrySeconds).toBeLessThanOrEqual(30);
    expect(retrySeconds).toBeGreaterThanOrEqual(Math.ceil((30_000 - passedMs) / 1_000));
    const { heard, say, hear, stream } = opened(to);
    say(1, event({}));
    await hear(1);
    expect(heard).toEqual([[1, { code: 'rate_limited', path: '' }]]);
    stream.end();

    const headers = { authorization: `Bearer ${API_KEY}`, 'content-type': 'application/json' };
    const answer = await fetch(`${limited.url}/v1/tenants/acme/events`, { method: 'POST', headers, body: '{"type":"a","data":1}' });
    expect([answer.status, Number(answer.headers.get('retry-after'))]).toEqual([429, expect.any(Number)]);
    expect(await answer.json()).toMatchObject({ code: 'rate_limited' });
  });
});
