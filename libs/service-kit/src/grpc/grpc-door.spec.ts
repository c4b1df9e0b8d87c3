import { Client, credentials, Metadata, status, type ServiceError } from '@grpc/grpc-js';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { BadRequest, ErrorInfo, RetryInfo, Status } from '@posthorn/contracts/grpc';
import {
  CreatePortalTokenRequest,
  CreatePortalTokenResponse,
  PortalTokenServiceDefinition,
  Scope,
  type CreatePortalTokenRequest as Asked,
  type CreatePortalTokenResponse as Told,
} from '@posthorn/contracts/grpc/registry';
import { Registry } from 'prom-client';
import { authorizer } from '../access/authorize.js';
import { adminKeyOnly } from '../access/admin-key.js';
import { Health } from '../health.js';
import { createLog } from '../log.js';
import { Problem } from '../problem.js';
import { serve, type CallContext } from './calls.js';
import { GrpcDoor } from './grpc-door.js';
import { DETAILS_KEY } from './status.js';

const KEY = 'phk_of_the_door';
const PATH = '/posthorn.registry.v1.PortalTokenService/CreatePortalToken';

type Answer = (request: Asked, context: CallContext) => Told | Promise<Told>;
const plain: Answer = ({ tenant, scopes }) => ({ token: 't', tenant, scopes, expires_at: new Date(0) });

let answer: Answer;
let health: Health;
let metrics: Registry;
let door: GrpcDoor;
let client: Client;
let lines: Record<string, unknown>[];

beforeEach(async () => {
  answer = plain;
  health = new Health();
  metrics = new Registry();
  lines = [];
  door = new GrpcDoor({
    services: [
      serve(PortalTokenServiceDefinition, {
        createPortalToken: {
          scope: 'registry:write',
          tenant: ({ tenant }) => tenant,
          maxBytes: 1_000,
          answer: (request, context) => answer(request, context),
        },
      }),
    ],
    authorize: authorizer(async (key) =>
      key === 'phk_of_acme' ? { actor: 'key_acme', tenant: 'acme', scopes: new Set(['registry:write']) } : adminKeyOnly(KEY)(key),
    ),
    health,
    metrics,
    log: createLog('test', 'info', { write: (line) => void lines.push(JSON.parse(line) as Record<string, unknown>) }),
  });
  client = new Client(`127.0.0.1:${await door.open(0, '127.0.0.1')}`, credentials.createInsecure());
});
afterEach(async () => {
  client.close();
  await door.close();
});

type Outcome = { error: ServiceError | null; told: Told | undefined; head: Metadata; trailers: Metadata };

const metadataOf = (entries: Readonly<Record<string, string>>): Metadata => {
  const metadata = new Metadata();
  for (const [name, value] of Object.entries(entries)) metadata.set(name, value);
  return metadata;
};

const call = (
  request: Asked | Buffer,
  { key = KEY, headers = {}, deadline }: { key?: string; headers?: Record<string, string>; deadline?: Date } = {},
): Promise<Outcome> =>
  new Promise((resolve) => {
    let head = new Metadata();
    let outcome: Pick<Outcome, 'error' | 'told'> = { error: null, told: undefined };
    const stream = client.makeUnaryRequest(
      PATH,
      (message: Asked | Buffer) => (Buffer.isBuffer(message) ? message : Buffer.from(CreatePortalTokenRequest.encode(message).finish())),
      (bytes) => CreatePortalTokenResponse.decode(bytes),
      request,
      metadataOf({ ...(key !== '' && { authorization: `Bearer ${key}` }), ...headers }),
      { ...(deadline && { deadline }) },
      (error, told) => void (outcome = { error, told }),
    );
    stream.on('metadata', (metadata: Metadata) => void (head = metadata));
    stream.on('status', ({ metadata }) => setImmediate(() => resolve({ ...outcome, head, trailers: metadata })));
  });

const detailsOf = ({ error }: Outcome) => {
  const [bytes] = error?.metadata.get(DETAILS_KEY) ?? [];
  const { code, message, details } = Status.decode(Buffer.from(bytes ?? ''));
  const of = <T>(name: string, codec: { decode(bytes: Uint8Array): T }): T | undefined => {
    const found = details.find(({ type_url }) => type_url === `type.googleapis.com/google.rpc.${name}`);
    return found && codec.decode(found.value);
  };
  return { code, message, info: of('ErrorInfo', ErrorInfo), bad: of('BadRequest', BadRequest), retry: of('RetryInfo', RetryInfo) };
};

const acme: Asked = { tenant: 'acme', scopes: [Scope.SCOPE_AUDIT_READ] };

const refused = (problem: Problem): Promise<Outcome> => {
  answer = () => {
    throw problem;
  };
  return call(acme);
};

describe('a call', () => {
  it('is answered by what serves its method, with a request id and what was told beside the answer', async () => {
    answer = (request, { tell, id, caller, metadata }) => {
      tell('posthorn-registry-position', '7');
      return { ...request, token: `${caller.actor} ${id} ${metadata('idempotency-key')}`, expires_at: new Date(0) };
    };
    const { error, told, head, trailers } = await call(acme, { headers: { 'x-request-id': 'r-1', 'idempotency-key': 'k' } });
    expect(error).toBeNull();
    expect(told).toEqual({ ...acme, token: 'admin r-1 k', expires_at: new Date(0) });
    expect(head.get('x-request-id')).toEqual(['r-1']);
    expect(trailers.get('posthorn-registry-position')).toEqual(['7']);
  });

  it('leaves one wide line, with its tenant where somebody asks who may', async () => {
    await call(acme, { headers: { 'x-request-id': 'r-1', traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01' } });
    await call(acme, { key: 'phk_wrong' });
    expect(lines).toMatchObject([
      { level: 'info', msg: 'call', request_id: 'r-1', trace_id: '0af7651916cd43dd8448eb211c80319c', method: PATH, code: 'OK', duration_ms: expect.any(Number), actor: 'admin', tenant: 'acme' },
      { msg: 'call', method: PATH, code: 'UNAUTHENTICATED' },
    ]);
    expect(lines[1]).not.toHaveProperty('tenant');
    expect(JSON.stringify(lines)).not.toContain('phk_');
  });

  it('with a request id that cannot be logged is given one', async () => {
    const { head } = await call(acme, { headers: { 'x-request-id': 'a b' } });
    expect(String(head.get('x-request-id'))).toMatch(/^[0-9a-f-]{36}$/);
  });

  it.each([
    ['without a key', '', acme, status.UNAUTHENTICATED],
    ['with a stranger to us', 'phk_of_nobody', acme, status.UNAUTHENTICATED],
    ["with another tenant's key", 'phk_of_acme', { ...acme, tenant: 'other' }, status.NOT_FOUND],
    ["with a tenant's key and no tenant", 'phk_of_acme', { ...acme, tenant: '' }, status.NOT_FOUND],
  ])('%s is refused', async (_what, key, request, code) => {
    expect((await call(request, { key })).error?.code).toBe(code);
  });

  it('that is no such message is refused, and one that is too large', async () => {
    expect((await call(Buffer.from([0x0a, 0xff]))).error).toMatchObject({ code: status.INVALID_ARGUMENT });
    expect((await call({ ...acme, tenant: 'a'.repeat(1_000) })).error).toMatchObject({ code: status.RESOURCE_EXHAUSTED });
    expect((await call({ ...acme, tenant: 'a'.repeat(2_000_000) })).error).toMatchObject({ code: status.RESOURCE_EXHAUSTED });
  });

  it('with a text that is not UTF-8 is refused: the replacement character would stand for any of its kind', async () => {
    for (const byte of [0xff, 0xfe]) {
      expect((await call(Buffer.from([0x0a, 3, 0x61, byte, 0x61]))).error).toMatchObject({ code: status.INVALID_ARGUMENT });
    }
  });

  it('is counted by method and code', async () => {
    await call(acme);
    await refused(new Problem('not_found', 'no'));
    const text = await metrics.metrics();
    for (const code of ['OK', 'NOT_FOUND']) {
      expect(text).toContain(`posthorn_grpc_request_duration_seconds_count{method="${PATH.slice(1)}",code="${code}"} 1`);
    }
  });
});

describe('a problem', () => {
  it.each([
    ['malformed', status.INVALID_ARGUMENT],
    ['unauthenticated', status.UNAUTHENTICATED],
    ['forbidden', status.PERMISSION_DENIED],
    ['not_found', status.NOT_FOUND],
    ['already_exists', status.ALREADY_EXISTS],
    ['conflict', status.FAILED_PRECONDITION],
    ['idempotency_conflict', status.FAILED_PRECONDITION],
    ['too_large', status.RESOURCE_EXHAUSTED],
    ['rate_limited', status.RESOURCE_EXHAUSTED],
  ] as const)('%s has its code and its reason', async (code, expected) => {
    const outcome = await refused(new Problem(code, 'so it is'));
    expect(outcome.error).toMatchObject({ code: expected, details: 'so it is' });
    expect(detailsOf(outcome)).toMatchObject({
      code: expected,
      message: 'so it is',
      info: { reason: code.toUpperCase(), domain: 'posthorn', metadata: {} },
    });
  });

  it('names every member that is wrong', async () => {
    const errors = [
      { path: 'policy.timeout', message: 'Duration from 1s to 30s' },
      { path: 'event_types[0]', message: 'no' },
    ];
    expect(detailsOf(await refused(new Problem('invalid', 'no', { errors }))).bad?.field_violations).toEqual([
      { field: 'policy.timeout', description: 'Duration from 1s to 30s' },
      { field: 'event_types[0]', description: 'no' },
    ]);
  });

  it('with more members than fit into trailers is told all the same', async () => {
    const errors = Array.from({ length: 1_000 }, (_, n) => ({ path: `event_types[${n}]`, message: 'x'.repeat(100) }));
    const outcome = await refused(new Problem('invalid', 'no', { errors }));
    expect(outcome.error?.code).toBe(status.INVALID_ARGUMENT);
    expect(detailsOf(outcome).bad?.field_violations.length).toBeGreaterThan(10);
  });

  it.each([
    ['half a surrogate pair', "Unexpected token '\ud83d'", "Unexpected token '\ufffd'"],
    ['a megabyte', 'x'.repeat(1_000_000), 'x'.repeat(256)],
    ['a pair at the cut', `${'x'.repeat(255)}\u{1f600}`, `${'x'.repeat(255)}\ufffd`],
  ])('that quotes %s is told all the same', async (_, message, expected) => {
    const { error } = await refused(new Problem('malformed', message));
    expect([error?.code, error?.details]).toEqual([status.INVALID_ARGUMENT, expected]);
  });

  it('of a version tells which one there is', async () => {
    const outcome = await refused(new Problem('version_mismatch', 'no', { currentVersion: 3 }));
    expect(outcome.error?.code).toBe(status.ABORTED);
    expect(detailsOf(outcome).info?.metadata).toEqual({ current_version: '3' });
  });

  it('that will pass says when to try again', async () => {
    const outcome = await refused(new Problem('unavailable', 'away'));
    expect(outcome.error?.code).toBe(status.UNAVAILABLE);
    expect(detailsOf(outcome).retry?.retry_delay).toEqual({ seconds: 1, nanos: 0 });
  });

  it('that nobody expected is logged, and not told', async () => {
    answer = () => {
      throw new TypeError('the secret is 42');
    };
    const outcome = await call(acme, { headers: { 'x-request-id': 'r-9' } });
    expect(outcome.error?.code).toBe(status.INTERNAL);
    expect(JSON.stringify(outcome.error)).not.toContain('42');
    expect(lines).toEqual([
      expect.objectContaining({ level: 'error', request_id: 'r-9', err: expect.objectContaining({ message: 'the secret is 42' }) }),
      expect.objectContaining({ level: 'info', msg: 'call', request_id: 'r-9', code: 'INTERNAL' }),
    ]);
  });
});

describe('a deadline', () => {
  it('reaches what serves the call, which is told when it passes', async () => {
    let seen: { deadlineMs: number | undefined; aborted: Promise<void> } | undefined;
    answer = async (request, { signal, deadlineMs }) => {
      const aborted = new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve()));
      seen = { deadlineMs, aborted };
      await aborted;
      return plain(request, undefined as never);
    };
    const deadline = new Date(Date.now() + 1_000);
    const { error } = await call(acme, { deadline });
    expect(error?.code).toBe(status.DEADLINE_EXCEEDED);
    await seen?.aborted;
    expect(Math.abs((seen?.deadlineMs ?? 0) - deadline.getTime())).toBeLessThan(1_000);
  });
});

const HEALTH = { serialize: (service: string) => Buffer.from(service === '' ? [] : [10, service.length, ...Buffer.from(service)]) };

/** grpc.health.v1.HealthCheckResponse.ServingStatus: 1 is SERVING, 2 NOT_SERVING. */
const check = (service: string): Promise<number | undefined> =>
  new Promise((resolve, reject) =>
    client.makeUnaryRequest('/grpc.health.v1.Health/Check', HEALTH.serialize, (bytes) => bytes[1], service, (error, value) =>
      error ? reject(error) : resolve(value),
    ),
  );

describe('health', () => {
  it('is that of the process, for each service', async () => {
    expect(await check('')).toBe(1);
    expect(await check('posthorn.registry.v1.PortalTokenService')).toBe(1);
    health.addReadiness('kafka', () => 'away');
    expect(await check('')).toBe(2);
    await expect(check('posthorn.Unknown')).rejects.toMatchObject({ code: status.NOT_FOUND });
  });

  it('that is watched tells of a change, and keeps nobody from closing', async () => {
    const told: number[] = [];
    const watch = client.makeServerStreamRequest('/grpc.health.v1.Health/Watch', HEALTH.serialize, (bytes) => bytes[1], '');
    const ended = new Promise((resolve) => watch.on('end', resolve));
    const changed = new Promise<void>((resolve) =>
      watch.on('data', (status: number) => {
        told.push(status);
        if (told.length === 1) health.addReadiness('kafka', () => 'away');
        else resolve();
      }),
    );
    watch.on('error', () => undefined);
    await changed;
    expect(told).toEqual([1, 2]);
    await Promise.all([ended, door.close()]);
  });
});

describe('closing', () => {
  it('lets the calls under way finish', async () => {
    const inside = Promise.withResolvers<void>();
    const gate = Promise.withResolvers<void>();
    answer = async (request, context) => {
      inside.resolve();
      await gate.promise;
      return plain(request, context);
    };
    const outcome = call(acme);
    await inside.promise;
    const closed = door.close();
    gate.resolve();
    await closed;
    expect((await outcome).error).toBeNull();
  });
});
