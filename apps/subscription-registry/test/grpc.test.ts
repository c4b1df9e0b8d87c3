import { status, type Client } from '@grpc/grpc-js';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import {
  ApiKeyServiceDefinition,
  DisabledReason,
  EventTypeServiceDefinition,
  ImportAction,
  Ordering,
  PayloadFormat,
  PortalTokenServiceDefinition,
  SchemaPolicy,
  Scope,
  SignatureScheme,
  SubscriptionServiceDefinition,
  TenantServiceDefinition,
  UnknownEventTypes,
  type Subscription,
  type Tenant,
} from '@posthorn/contracts/grpc/registry';
import { eventually } from '@posthorn/testkit';
import { callRaw, clientOf, connect, detailsOf, refusalOf, requestBytes, type TestClient } from '../../../test/support/grpc-client.js';
import { API_KEY, createWorld, type Service, type World } from './world.js';

const services = [
  TenantServiceDefinition,
  EventTypeServiceDefinition,
  ApiKeyServiceDefinition,
  PortalTokenServiceDefinition,
  SubscriptionServiceDefinition,
];

let world: World;
let service: Service;
let client: Client;
let tenants: TestClient<typeof TenantServiceDefinition>;
let eventTypes: TestClient<typeof EventTypeServiceDefinition>;
let apiKeys: TestClient<typeof ApiKeyServiceDefinition>;
let portalTokens: TestClient<typeof PortalTokenServiceDefinition>;
let subscriptions: TestClient<typeof SubscriptionServiceDefinition>;

beforeAll(async () => {
  world = await createWorld();
  service = await world.boot();
  client = connect(service.grpcAddress);
  const admin = { key: API_KEY };
  tenants = clientOf(client, TenantServiceDefinition, admin);
  eventTypes = clientOf(client, EventTypeServiceDefinition, admin);
  apiKeys = clientOf(client, ApiKeyServiceDefinition, admin);
  portalTokens = clientOf(client, PortalTokenServiceDefinition, admin);
  subscriptions = clientOf(client, SubscriptionServiceDefinition, admin);
  for (const id of ['acme', 'other']) await tenants.createTenant({ tenant: tenant({ id }) });
});
afterAll(async () => {
  client.close();
  await world.destroy();
});

const tenant = (given: Partial<Tenant>): Tenant => ({
  id: '',
  name: '',
  settings: undefined,
  version: 0,
  created_at: undefined,
  updated_at: undefined,
  ...given,
});

const blank: Subscription = {
  id: '',
  tenant: '',
  name: '',
  description: undefined,
  url: '',
  event_types: [],
  filter: undefined,
  enabled: undefined,
  disabled_reason: DisabledReason.DISABLED_REASON_UNSPECIFIED,
  signature: SignatureScheme.SIGNATURE_SCHEME_UNSPECIFIED,
  payload: undefined,
  authentication: undefined,
  headers: {},
  policy: undefined,
  metadata: {},
  version: 0,
  created_at: undefined,
  updated_at: undefined,
};
const good: Subscription = { ...blank, name: 'orders', url: 'https://example.com/in', event_types: ['invoice.*'] };

const policy = {
  timeout: undefined,
  retry_schedule: undefined,
  rate_limit: undefined,
  max_concurrency: undefined,
  ordering: Ordering.ORDERING_UNSPECIFIED,
  success: undefined,
  disable_after: undefined,
  spread: undefined,
};

/** A subscription that was just made. */
const made = async (given: Partial<Subscription> = {}): Promise<Subscription> => {
  const { message } = await subscriptions.createSubscription({ tenant: 'acme', subscription: { ...good, ...given } });
  if (!message.subscription) throw new Error('no subscription in the answer');
  return message.subscription;
};

describe('tenants', () => {
  it('are made, found, listed, changed and deleted', async () => {
    const created = await tenants.createTenant({
      tenant: tenant({
        id: 'calls',
        settings: {
          schema_policy: SchemaPolicy.SCHEMA_POLICY_REJECT,
          unknown_event_types: UnknownEventTypes.UNKNOWN_EVENT_TYPES_UNSPECIFIED,
          retention: { seconds: 86_400, nanos: 0 },
        },
      }),
    });
    expect(created.message.position).toBeGreaterThan(0);
    expect(created.trailers.get('posthorn-registry-position')).toEqual([String(created.message.position)]);
    const settings = {
      schema_policy: SchemaPolicy.SCHEMA_POLICY_REJECT,
      unknown_event_types: UnknownEventTypes.UNKNOWN_EVENT_TYPES_ACCEPT,
      retention: { seconds: 86_400, nanos: 0 },
    };
    expect(created.message.tenant).toMatchObject({ id: 'calls', name: 'calls', settings, version: 1 });
    expect((await tenants.getTenant({ tenant: 'calls' })).message.tenant).toEqual(created.message.tenant);

    const page = (await tenants.listTenants({ page_size: 1 })).message;
    expect(page.tenants.map(({ id }) => id)).toEqual(['acme']);
    const next = (await tenants.listTenants({ page_size: 1, page_token: page.next_page_token })).message;
    expect(next.tenants.map(({ id }) => id)).toEqual(['calls']);

    const change = tenant({ id: 'calls', name: 'Calls', settings: { ...settings, retention: { seconds: 172_800, nanos: 0 } } });
    const update_mask = ['name', 'settings.retention'];
    const updated = (await tenants.updateTenant({ tenant: change, update_mask, expected_version: 1 })).message.tenant;
    expect(updated).toMatchObject({ name: 'Calls', settings: { ...settings, retention: { seconds: 172_800, nanos: 0 } }, version: 2 });

    await tenants.deleteTenant({ tenant: 'calls', expected_version: 2 });
    expect(await refusalOf(tenants.getTenant({ tenant: 'calls' }))).toMatchObject({ code: status.NOT_FOUND });
    expect(await refusalOf(tenants.createTenant({ tenant: tenant({ id: 'calls' }) }))).toMatchObject({ code: status.ALREADY_EXISTS });
    expect(await refusalOf(tenants.deleteTenant({ tenant: 'default' }))).toMatchObject({ code: status.FAILED_PRECONDITION });
  });
});

describe('event types', () => {
  it('are put, found, listed, imported and deleted', async () => {
    const schema = { type: 'object', properties: { amount: { type: 'number', minimum: 0.5 } }, required: ['amount'] };
    const event_type = {
      name: 'invoice.paid',
      tenant: '',
      description: 'It is paid.',
      schema,
      example: { amount: 12.5 },
      version: 0,
      archived: false,
      created_at: undefined,
      updated_at: undefined,
    };
    const put = (await eventTypes.putEventType({ tenant: 'acme', event_type })).message;
    expect(put.event_type).toMatchObject({ name: 'invoice.paid', tenant: 'acme', schema, example: { amount: 12.5 }, version: 1 });
    expect(put.version).toBe(1);
    const found = (await eventTypes.getEventType({ tenant: 'acme', name: 'invoice.paid' })).message;
    expect(found).toEqual({ event_type: put.event_type, version: 1 });
    expect((await eventTypes.listEventTypes({ tenant: 'acme', q: 'paid' })).message.event_types).toEqual([put.event_type]);

    const document = { schemas: { 'invoice.sent': { type: 'object' } } };
    const dry = (await eventTypes.importEventTypes({ tenant: 'acme', document, dry_run: true })).message;
    expect(dry).toMatchObject({ dry_run: true, position: undefined, changes: [{ name: 'invoice.sent', action: ImportAction.IMPORT_ACTION_CREATE }] });
    const wet = (await eventTypes.importEventTypes({ tenant: 'acme', document })).message;
    expect(wet).toMatchObject({ dry_run: false, position: expect.any(Number), changes: dry.changes });

    const stale = await refusalOf(eventTypes.deleteEventType({ tenant: 'acme', name: 'invoice.paid', expected_version: 7 }));
    expect(stale.code).toBe(status.ABORTED);
    await eventTypes.deleteEventType({ tenant: 'acme', name: 'invoice.paid', expected_version: 1 });
    const gone = await refusalOf(eventTypes.getEventType({ tenant: 'acme', name: 'invoice.paid' }));
    expect(gone.code).toBe(status.NOT_FOUND);
  });
});

describe('keys and tokens', () => {
  it('are made, listed and deleted', async () => {
    const api_key = {
      id: '',
      name: 'ci',
      prefix: '',
      scopes: [Scope.SCOPE_REGISTRY_READ],
      tenant: 'acme',
      expires_at: new Date('2036-01-01T00:00:00Z'),
      last_used_at: undefined,
      created_at: undefined,
    };
    const created = (await apiKeys.createApiKey({ api_key })).message;
    expect(created.key).toMatch(/^phk_/);
    expect(created.api_key).toMatchObject({ ...api_key, id: expect.stringMatching(/^key_/), prefix: created.key.slice(0, 12), created_at: expect.any(Date) });
    expect((await apiKeys.listApiKeys({ tenant: 'acme' })).message.api_keys.map(({ id }) => id)).toContain(created.api_key?.id);
    expect((await subscriptions.listSubscriptions({ tenant: 'acme' }, { key: created.key })).message.subscriptions).toEqual([]);
    const unable = await refusalOf(subscriptions.createSubscription({ tenant: 'acme', subscription: good }, { key: created.key }));
    expect(unable.code).toBe(status.PERMISSION_DENIED);

    await apiKeys.deleteApiKey({ id: created.api_key?.id ?? '' });
    const revoked = async (): Promise<boolean> =>
      (await refusalOf(subscriptions.listSubscriptions({ tenant: 'acme' }, { key: created.key })).catch(() => ({ code: status.OK }))).code === status.UNAUTHENTICATED;
    await eventually(revoked, { timeoutMs: 5_000 });
  });

  it('of the portal let the people of their tenant in', async () => {
    const { message } = await portalTokens.createPortalToken({ tenant: 'acme', scopes: [Scope.SCOPE_REGISTRY_READ] });
    expect(message).toMatchObject({ tenant: 'acme', scopes: [Scope.SCOPE_REGISTRY_READ], expires_at: expect.any(Date) });
    expect((await tenants.listTenants({}, { key: message.token })).message.tenants.map(({ id }) => id)).toEqual(['acme']);
  });
});

describe('subscriptions', () => {
  it('are made with everything that can be said of them', async () => {
    const full: Subscription = {
      ...good,
      description: '',
      filter: 'data.amount > 10',
      enabled: false,
      signature: SignatureScheme.SIGNATURE_SCHEME_V1A,
      payload: { format: PayloadFormat.PAYLOAD_FORMAT_CONTEXT, transform: undefined, context: { a: [1, null, { b: true }] } },
      authentication: { method: { $case: 'basic', value: { username: 'u', password: 'p' } } },
      headers: { 'x-a': 'b' },
      policy: {
        timeout: { seconds: 5, nanos: 0 },
        retry_schedule: { waits: [{ seconds: 5, nanos: 0 }, { seconds: 90, nanos: 0 }] },
        rate_limit: { per_second: 2.5, burst: 7 },
        max_concurrency: 3,
        ordering: Ordering.ORDERING_BY_KEY,
        success: { statuses: ['204'] },
        disable_after: { seconds: 7_200, nanos: 0 },
        spread: 1,
      },
      metadata: { team: 'x' },
    };
    const { message } = await subscriptions.createSubscription({ tenant: 'acme', subscription: full });
    expect(message).toMatchObject({ secret: undefined, public_key: expect.stringMatching(/^whpk_/), position: expect.any(Number) });
    const expected = {
      ...full,
      id: expect.stringMatching(/^sub_/),
      tenant: 'acme',
      disabled_reason: DisabledReason.DISABLED_REASON_BY_USER,
      authentication: { method: { $case: 'basic', value: { username: 'u', password: '***' } } },
      version: 1,
      created_at: expect.any(Date),
      updated_at: expect.any(Date),
    };
    expect(message.subscription).toEqual(expected);
    const read = await subscriptions.getSubscription({ tenant: 'acme', id: message.subscription?.id ?? '' });
    expect(read.message.subscription).toEqual(message.subscription);
  });

  it('are made many at a time', async () => {
    const { results, position } = (
      await subscriptions.createSubscriptions({
        tenant: 'acme',
        subscriptions: [
          { subscription: good, secret: undefined },
          { subscription: { ...good, url: 'ftp://x' }, secret: undefined },
          { subscription: undefined, secret: undefined },
          { subscription: { ...good, payload: { format: PayloadFormat.PAYLOAD_FORMAT_CONTEXT, transform: undefined, context: [Number.NaN] } }, secret: undefined },
        ],
      })
    ).message;
    expect(position).toBeGreaterThan(0);
    expect(results.map(({ outcome }) => outcome?.$case)).toEqual(['created', 'error', 'error', 'error']);
    expect(results[0]?.outcome?.value).toMatchObject({ secret: expect.stringMatching(/^whsec_/), subscription: { name: 'orders' } });
    expect(results[1]?.outcome?.value).toMatchObject({ code: 'invalid', errors: [{ path: 'url' }] });
    expect(results[3]?.outcome?.value).toMatchObject({ code: 'invalid', errors: [{ path: 'payload.context[0]' }] });
  });

  it('are listed by what is asked for, page by page', async () => {
    const ids: string[] = [];
    for (const name of ['listed 1', 'listed 2', 'listed 3']) ids.push((await made({ name })).id);
    const first = (await subscriptions.listSubscriptions({ tenant: 'acme', q: 'listed', event_type: 'invoice.paid', enabled: true, page_size: 2 })).message;
    const rest = (await subscriptions.listSubscriptions({ tenant: 'acme', q: 'listed', page_size: 2, page_token: first.next_page_token })).message;
    expect([...first.subscriptions, ...rest.subscriptions].map(({ id }) => id)).toEqual(ids);
    expect(rest.next_page_token).toBe('');
    expect((await subscriptions.listSubscriptions({ tenant: 'acme', q: 'listed', enabled: false })).message.subscriptions).toEqual([]);
  });

  it('are changed by a mask: what it names and is not given is removed', async () => {
    const { id } = await made({
      description: 'd',
      filter: 'true',
      headers: { 'x-a': 'b' },
      policy: { ...policy, rate_limit: { per_second: 1, burst: undefined }, max_concurrency: 3 },
    });
    const subscription = { ...blank, id, name: 'renamed', url: 'https://example.com/ignored', policy: { ...policy, max_concurrency: 5 } };
    const update_mask = ['name', 'description', 'filter', 'headers', 'policy.rate_limit', 'policy.max_concurrency'];
    const updated = (await subscriptions.updateSubscription({ tenant: 'acme', subscription, update_mask })).message.subscription;
    expect(updated).toMatchObject({ name: 'renamed', url: good.url, headers: {}, version: 2 });
    expect(updated).toMatchObject({ description: undefined, filter: undefined, policy: { rate_limit: undefined, max_concurrency: 5 } });

    const bare = (await subscriptions.updateSubscription({ tenant: 'acme', subscription: { ...blank, id, enabled: false } })).message.subscription;
    expect(bare).toMatchObject({ name: 'renamed', enabled: false, version: 3 });

    for (const path of ['id', 'policy.nonsense', 'name']) {
      const refused = await refusalOf(subscriptions.updateSubscription({ tenant: 'acme', subscription: { ...blank, id }, update_mask: [path] }));
      expect([refused.code, detailsOf(refused).violations.map(([field]) => field)]).toEqual([status.INVALID_ARGUMENT, [path]]);
    }
  });

  it('are enabled, disabled and deleted, each at the version that is expected', async () => {
    const { id } = await made();
    const disabled = (await subscriptions.disableSubscription({ tenant: 'acme', id, expected_version: 1 })).message.subscription;
    expect(disabled).toMatchObject({ enabled: false, disabled_reason: DisabledReason.DISABLED_REASON_BY_USER, version: 2 });
    const stale = await refusalOf(subscriptions.enableSubscription({ tenant: 'acme', id, expected_version: 1 }));
    expect(stale.code).toBe(status.ABORTED);
    expect(detailsOf(stale)).toMatchObject({ reason: 'VERSION_MISMATCH', domain: 'posthorn', metadata: { current_version: '2' } });
    expect((await subscriptions.enableSubscription({ tenant: 'acme', id, expected_version: 2 })).message.subscription).toMatchObject({ enabled: true });
    await subscriptions.deleteSubscription({ tenant: 'acme', id, expected_version: 3 });
    expect(await refusalOf(subscriptions.getSubscription({ tenant: 'acme', id }))).toMatchObject({ code: status.NOT_FOUND });
  });

  it('tell their secret, and get a new one', async () => {
    const { id } = await made();
    const before = (await subscriptions.getSubscriptionSecret({ tenant: 'acme', id })).message.secret;
    expect(before).toMatchObject({ signature: SignatureScheme.SIGNATURE_SCHEME_V1, secret: expect.stringMatching(/^whsec_/), previous: [] });
    const after = (await subscriptions.rotateSubscriptionSecret({ tenant: 'acme', id, overlap: { seconds: 60, nanos: 0 } })).message.secret;
    expect(after?.previous).toEqual([expect.objectContaining({ secret: before?.secret, expires_at: expect.any(Date) })]);
    expect((await subscriptions.getSubscriptionSecret({ tenant: 'acme', id })).message.secret).toEqual(after);
  });

  it('remember who changed what, and what they were', async () => {
    const { id, created_at } = await made();
    await subscriptions.disableSubscription({ tenant: 'acme', id }, { metadata: { 'x-request-id': 'r-17' } });
    const { entries } = (await subscriptions.getSubscriptionHistory({ tenant: 'acme', id })).message;
    expect(entries).toMatchObject([
      { version: 1, type: 'SubscriptionCreated', actor: 'admin', changes: expect.objectContaining({ name: 'orders' }) },
      { version: 2, type: 'SubscriptionDisabled', actor: 'admin', cause: 'request r-17' },
    ]);
    const then = (await subscriptions.getSubscription({ tenant: 'acme', id, at: created_at })).message.subscription;
    expect(then).toMatchObject({ enabled: true, version: 1 });
  });

  it('are tried', async () => {
    const { id } = await made();
    const { attempt } = (await subscriptions.testSubscription({ tenant: 'acme', id, event_type: 'invoice.paid', data: { amount: 1 } })).message;
    expect(attempt).toMatchObject({ started_at: expect.any(Date), request: { url: good.url } });
    expect(attempt?.response ?? attempt?.error).toBeDefined();
  });

  it('have filters that can be tried', async () => {
    const event = { type: 'invoice.paid', data: { amount: 12 } };
    const check = async (expression: { $case: 'filter' | 'transform'; value: string }) =>
      (await subscriptions.checkFilter({ tenant: 'acme', expression, event })).message;
    expect(await check({ $case: 'filter', value: 'data.amount > 10' })).toEqual({ outcome: { $case: 'matches', value: true }, headers: {}, cost: 0 });
    expect(await check({ $case: 'transform', value: '{"n": data.amount}' })).toMatchObject({ outcome: { $case: 'result', value: { n: 12 } } });
    expect(await check({ $case: 'transform', value: 'request(1, {"X-A": "b"})' })).toMatchObject({ outcome: { $case: 'result', value: 1 }, headers: { 'x-a': 'b' } });
    const refused = await check({ $case: 'filter', value: 'data.' });
    expect(refused).toMatchObject({ outcome: { $case: 'error', value: { message: expect.any(String) } } });
    expect(refused.cost).toBeUndefined();
  });
});

describe('what is wrong', () => {
  it('is told member by member, at the paths of REST', async () => {
    const subscription = { ...good, url: '', event_types: ['Invoice'], policy: { ...policy, timeout: { seconds: 60, nanos: 0 } } };
    const refused = await refusalOf(subscriptions.createSubscription({ tenant: 'acme', subscription }));
    expect(refused.code).toBe(status.INVALID_ARGUMENT);
    const { reason, violations } = detailsOf(refused);
    expect(reason).toBe('INVALID');
    expect(violations.map(([field]) => field).toSorted()).toEqual(['event_types[0]', 'policy.timeout', 'url']);
  });

  it('is a call without its resource, too', async () => {
    for (const call of [subscriptions.createSubscription({ tenant: 'acme' }), tenants.createTenant(), apiKeys.createApiKey()]) {
      expect(await refusalOf(call)).toMatchObject({ code: status.INVALID_ARGUMENT });
    }
  });
});

describe('a call that is repeated', () => {
  it('with its idempotency key has its effect once', async () => {
    const metadata = { 'idempotency-key': 'once-1' };
    const request = { tenant: 'acme', subscription: { ...good, name: 'once' } };
    const first = await subscriptions.createSubscription(request, { metadata });
    const second = await subscriptions.createSubscription(request, { metadata });
    expect(second.message).toEqual(first.message);
    expect(second.trailers.get('idempotency-replayed')).toEqual(['true']);
    expect((await subscriptions.listSubscriptions({ tenant: 'acme', q: 'once' })).message.subscriptions).toHaveLength(1);
    const other = await refusalOf(subscriptions.createSubscription({ ...request, subscription: good }, { metadata }));
    expect([other.code, detailsOf(other).reason]).toEqual([status.FAILED_PRECONDITION, 'IDEMPOTENCY_CONFLICT']);
  });
});

describe('a deadline', () => {
  it('that passes before the append lets nothing be written', async () => {
    const blocker = await world.pool.connect();
    await blocker.query('begin');
    await blocker.query('lock table registry.events in access exclusive mode');
    const deadline = new Date(Date.now() + 200);
    const refused = await refusalOf(tenants.createTenant({ tenant: tenant({ id: 'too-late' }) }, { deadline }));
    expect(refused.code).toBe(status.DEADLINE_EXCEEDED);
    // For the service it passes a moment later: it counts from when the call came.
    await eventually(() => Date.now() > deadline.getTime() + 200, { timeoutMs: 1_000 });
    await blocker.query('rollback');
    blocker.release();
    const ended = 'posthorn_grpc_request_duration_seconds_count{method="posthorn.registry.v1.TenantService/CreateTenant",code="DEADLINE_EXCEEDED"} 1';
    await eventually(async () => (await service.metrics.metrics()).includes(ended), { timeoutMs: 10_000 });
    expect(await refusalOf(tenants.getTenant({ tenant: 'too-late' }))).toMatchObject({ code: status.NOT_FOUND });
  });
});

describe('every operation of REST', () => {
  it('has a method of its name', async () => {
    const document = (await (await fetch(`${service.origin}/docs/openapi.json`)).json()) as { paths: Record<string, Record<string, { operationId: string }>> };
    const operations = Object.values(document.paths).flatMap((path) => Object.values(path).map(({ operationId }) => operationId));
    expect(services.flatMap(({ methods }) => Object.keys(methods)).toSorted()).toEqual(operations.toSorted());
  });
});

describe('every method', () => {
  /** What is about no tenant in particular, or only for those who have a right to all of them. */
  const OF_NO_TENANT = new Set(['CreateTenant', 'ListTenants', 'CreateApiKey', 'ListApiKeys', 'DeleteApiKey']);

  it("about a tenant is NOT_FOUND to another tenant's key, whatever it may do there", async () => {
    const api_key = {
      id: '',
      name: 'foreign',
      prefix: '',
      scopes: [Scope.SCOPE_ADMIN],
      tenant: 'other',
      expires_at: undefined,
      last_used_at: undefined,
      created_at: undefined,
    };
    const { key } = (await apiKeys.createApiKey({ api_key })).message;
    const about: string[] = [];
    for (const { fullName, methods } of services) {
      for (const method of Object.values(methods)) {
        if (OF_NO_TENANT.has(method.name)) continue;
        const given = method.name === 'UpdateTenant' ? { tenant: tenant({ id: 'acme' }) } : { tenant: 'acme' };
        const refused = await refusalOf(callRaw(client, `/${fullName}/${method.name}`, requestBytes(method, given), { key }));
        expect([method.name, refused.code, refused.details]).toEqual([method.name, status.NOT_FOUND, 'There is no such tenant.']);
        about.push(method.name);
      }
    }
    expect(about.length).toBeGreaterThan(20);
  });

  it('demands a key', async () => {
    for (const { fullName, methods } of services) {
      for (const method of Object.values(methods)) {
        const refused = await refusalOf(callRaw(client, `/${fullName}/${method.name}`, requestBytes(method, {}), {}));
        expect([method.name, refused.code]).toEqual([method.name, status.UNAUTHENTICATED]);
      }
    }
  });
});

/** A string in field 1, or 7, of a message: all that health and reflection are asked with. */
const text = (field: number, value: string): Buffer => Buffer.from([field * 8 + 2, value.length, ...Buffer.from(value)]);

describe('a client without our proto files', () => {
  it('asks the health of a service', async () => {
    for (const { fullName } of services) {
      const { message } = await callRaw(client, '/grpc.health.v1.Health/Check', text(1, fullName), {});
      expect([...message]).toEqual([8, 1]); // SERVING
    }
  });

  it('is told what there is by reflection', async () => {
    const stream = client.makeBidiStreamRequest(
      '/grpc.reflection.v1.ServerReflection/ServerReflectionInfo',
      (request: Buffer) => request,
      (response) => response.toString('latin1'),
    );
    const told = new Promise<string>((resolve, reject) => stream.on('data', resolve).on('error', reject));
    stream.write(text(7, '*'));
    const names = await told;
    stream.end();
    for (const { fullName } of services) expect(names).toContain(fullName);
    expect(names).toContain('grpc.health.v1.Health');
    expect(names).not.toContain('posthorn.audit');
  });
});
