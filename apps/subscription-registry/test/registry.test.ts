import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { recordSchemas, type SubscriptionState } from '@posthorn/contracts';
import { fold, subscription, type SubscriptionEvent } from '@posthorn/domain';
import { EventStore } from '@posthorn/event-store';
import { eventually } from '@posthorn/testkit';
import { writeRows } from '../src/read-model.js';
import { subscriptionAggregate } from '../src/subscriptions/subscription-table.js';
import { createWorld, eventIn, idOf, idsIn, positionOf, stateIn, type Answer, type Service, type World } from './world.js';

const subscriptions = '/tenants/default/subscriptions';
const wanted = { name: 'Billing', url: 'https://example.com/in', event_types: ['invoice.*'] };

let world: World;
let service: Service;

beforeAll(async () => {
  world = await createWorld();
  service = await world.boot();
}, 60_000);
afterAll(() => world.destroy(), 60_000);

const create = async (body: object = {}): Promise<Answer> => {
  const answer = await service.call('POST', subscriptions, { ...wanted, ...body });
  expect(answer).toMatchObject({ status: 201 });
  return answer;
};

describe('a subscription over REST', () => {
  it('is created with the defaults, and tells its secret this once', async () => {
    const created = await create();
    expect(created.headers.get('etag')).toBe('"1"');
    expect(created.body).toEqual({
      ...wanted,
      id: expect.stringMatching(/^sub_[0-9a-f]{32}$/),
      tenant: 'default',
      type: 'rest',
      enabled: true,
      signature: 'v1',
      payload: { format: 'standard' },
      authentication: { type: 'none' },
      headers: {},
      policy: {
        timeout: '15s',
        max_concurrency: 10,
        retry_schedule: ['5s', '5m', '30m', '2h', '5h', '10h', '14h', '20h', '24h'],
        ordering: 'none',
        spread: 1,
        success: { statuses: ['2xx'] },
        disable_after: '120h',
      },
      metadata: {},
      version: 1,
      created_at: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/),
      updated_at: created.body['created_at'],
      secret: expect.stringMatching(/^whsec_[A-Za-z0-9+/]{43}=$/),
    });

    const { secret, ...view } = created.body;
    const read = await service.call('GET', `${subscriptions}/${idOf(created)}`);
    expect(read).toMatchObject({ status: 200, body: view });
    expect(read.body).not.toHaveProperty('secret');
    expect(read.headers.get('etag')).toBe('"1"');
    const told = await service.call('GET', `${subscriptions}/${idOf(created)}/secret`);
    expect(told.body).toEqual({ signature: 'v1', secret, previous: [] });
  });

  it('is changed by what is present, policy member by member', async () => {
    const path = `${subscriptions}/${idOf(await create({ policy: { timeout: '5s', retry_schedule: ['90s'] } }))}`;
    const patched = await service.call('PATCH', path, { name: 'Other', policy: { max_concurrency: 3 } });
    expect(patched.status).toBe(200);
    expect(patched.headers.get('etag')).toBe('"2"');
    expect(patched.body).toMatchObject({
      name: 'Other',
      url: wanted.url,
      policy: { timeout: '5s', retry_schedule: ['90s'], max_concurrency: 3 },
      version: 2,
    });
    const again = await service.call('PATCH', path, { name: 'Other' });
    expect(again.body).toMatchObject({ version: 2 });
    expect(positionOf(again)).toBe(positionOf(patched));
  });

  it('is spread or ordered by key, whatever is asked for first, and one after the other', async () => {
    const refused = { status: 422, body: { code: 'invalid', errors: [{ path: 'policy.spread', message: expect.any(String) }] } };
    for (const policy of [{ ordering: 'by_key', spread: 2 }, { spread: 17 }]) {
      await expect(service.call('POST', subscriptions, { ...wanted, policy })).resolves.toMatchObject(refused);
    }
    const path = `${subscriptions}/${idOf(await create({ policy: { spread: 4 } }))}`;
    await expect(service.call('PATCH', path, { policy: { ordering: 'by_key' } })).resolves.toMatchObject(refused);
    const ordered = await service.call('PATCH', path, { policy: { ordering: 'by_key', spread: 1 } });
    expect(ordered).toMatchObject({ status: 200, body: { policy: { ordering: 'by_key', spread: 1 } } });
    await expect(service.call('PATCH', path, { policy: { spread: 2 } })).resolves.toMatchObject(refused);
    const { body } = await service.call('GET', `${path}/history`);
    expect(body).toMatchObject({ data: [{ changes: { policy: { spread: 4 } } }, { changes: { policy: { ordering: 'by_key', spread: 1 } } }] });
  });

  it('honours If-Match, and says the current version', async () => {
    const path = `${subscriptions}/${idOf(await create())}`;
    await expect(service.call('PATCH', path, { name: 'B' }, { 'if-match': '"1"' })).resolves.toMatchObject({ status: 200 });
    const late = await service.call('PATCH', path, { name: 'C' }, { 'if-match': '"1"' });
    expect(late).toMatchObject({ status: 412, body: { code: 'version_mismatch', current_version: 2 } });
    await expect(service.call('DELETE', path, undefined, { 'if-match': '"1"' })).resolves.toMatchObject({ status: 412 });
    await expect(service.call('GET', path)).resolves.toMatchObject({ body: { name: 'B' } });
  });

  it('takes unconditional changes at the same time, one after the other', async () => {
    const path = `${subscriptions}/${idOf(await create())}`;
    const answers = await Promise.all(Array.from({ length: 8 }, (_, n) => service.call('PATCH', path, { description: `${n}` })));
    expect(answers.map(({ status }) => status)).toEqual(Array.from({ length: 8 }, () => 200));
    expect(answers.map(({ body }) => Number(body['version'])).sort((a, b) => a - b)).toEqual([2, 3, 4, 5, 6, 7, 8, 9]);
  });

  it('is disabled and enabled', async () => {
    const path = `${subscriptions}/${idOf(await create())}`;
    await expect(service.call('POST', `${path}/disable`)).resolves.toMatchObject({
      status: 200,
      body: { enabled: false, disabled_reason: 'by_user', version: 2 },
    });
    const enabled = await service.call('POST', `${path}/enable`);
    expect(enabled).toMatchObject({ status: 200, body: { enabled: true, version: 3 } });
    expect(enabled.body).not.toHaveProperty('disabled_reason');
  });

  it('is gone when deleted', async () => {
    const path = `${subscriptions}/${idOf(await create())}`;
    await expect(service.call('DELETE', path)).resolves.toMatchObject({ status: 204, body: {} });
    const answers = await Promise.all([
      service.call('GET', path),
      service.call('GET', `${path}/secret`),
      service.call('PATCH', path, { name: 'B' }),
      service.call('DELETE', path),
      service.call('POST', `${path}/enable`),
    ]);
    expect(answers.map(({ status }) => status)).toEqual([404, 404, 404, 404, 404]);
  });

  it.each([
    ['an unknown field', { color: 'red' }, 'color'],
    ['an unknown field within', { policy: { retry_shedule: [] } }, 'policy.retry_shedule'],
    ['http', { url: 'http://example.com/in' }, 'url'],
    ['a loopback address', { url: 'https://127.0.0.1/in' }, 'url'],
    ['a bad pattern', { event_types: ['Invoice Paid'] }, 'event_types[0]'],
    ['a text that cannot be stored', { name: 'a\u0000b' }, 'name'],
  ])('refuses %s with its path', async (_what, body, path) => {
    const refused = await service.call('POST', subscriptions, { ...wanted, ...body });
    expect(refused).toMatchObject({ status: 422, body: { code: 'invalid', errors: [{ path }] } });
  });

  it('names the rule that a URL broke', async () => {
    const http = await service.call('POST', subscriptions, { ...wanted, url: 'http://example.com' });
    expect(http.body['errors']).toEqual([{ path: 'url', message: 'https_required: The URL must begin with https://.' }]);
    const path = `${subscriptions}/${idOf(await create())}`;
    const blocked = await service.call('PATCH', path, { url: 'https://10.0.0.1/' });
    expect(blocked.body['errors']).toEqual([{ path: 'url', message: expect.stringContaining('address_blocked') }]);
  });

  it('belongs to one tenant', async () => {
    const id = idOf(await create());
    await service.call('POST', '/tenants', { id: 'other' });
    const answers = await Promise.all([
      service.call('GET', `/tenants/other/subscriptions/${id}`),
      service.call('PATCH', `/tenants/other/subscriptions/${id}`, { name: 'Mine' }, { 'if-match': '"9"' }),
      service.call('DELETE', `/tenants/other/subscriptions/${id}`),
      service.call('POST', '/tenants/nobody/subscriptions', wanted),
      service.call('GET', '/tenants/nobody/subscriptions'),
      service.call('GET', '/tenants/%00/subscriptions'),
      service.call('GET', `${subscriptions}/%00`),
    ]);
    expect(answers.map(({ status }) => status)).toEqual([404, 404, 404, 404, 404, 404, 404]);
  });
});

describe('the list', () => {
  const of = '/tenants/lists/subscriptions';
  const ids: string[] = [];
  const add = async (body: object) => {
    ids.push(idOf(await service.call('POST', of, { ...wanted, ...body })));
  };

  beforeAll(async () => {
    await service.call('POST', '/tenants', { id: 'lists' });
    await add({ name: 'Alpha 100%', event_types: ['invoice.*'] });
    await add({ name: 'Beta', event_types: ['invoice.paid', 'user.created'] });
    await add({ name: 'alphabet', event_types: ['*'], enabled: false });
  });

  it('goes by age, page by page', async () => {
    const first = await service.call('GET', `${of}?page_size=2`);
    expect(idsIn(first)).toEqual(ids.slice(0, 2));
    const second = await service.call('GET', `${of}?page_size=2&page_token=${String(first.body['next_page_token'])}`);
    expect(idsIn(second)).toEqual(ids.slice(2));
    expect(second.body).not.toHaveProperty('next_page_token');
  });

  it.each([
    ['event_type=invoice.paid', [0, 1, 2]],
    ['event_type=invoice.line.added', [0, 2]],
    ['event_type=user.created', [1, 2]],
    ['enabled=true', [0, 1]],
    ['enabled=false', [2]],
    ['q=ALPHA', [0, 2]],
    ['q=0%25', [0]],
    ['q=_', []],
    ['q=alpha&enabled=true', [0]],
  ])('filtered by %s', async (query, expected) => {
    expect(idsIn(await service.call('GET', `${of}?${query}`))).toEqual(expected.map((n) => ids[n]));
  });

  it.each([
    ['page_size=0', 'page_size'],
    ['page_token=abc', 'page_token'],
    ['colour=red', 'colour'],
    ['event_type=*', 'event_type'],
    ['q=%00', 'q'],
  ])('refuses ?%s', async (query, path) => {
    await expect(service.call('GET', `${of}?${query}`)).resolves.toMatchObject({ status: 422, body: { errors: [{ path }] } });
  });
});

describe('the topics', () => {
  it('hold a change when it is answered: the state at the position that the answer names', async () => {
    const created = await create();
    const record = (await world.readTopic('registry.state')).findLast(({ key }) => key === idOf(created));
    expect(record).toMatchObject({ position: positionOf(created), kind: 'subscription', schema: '1' });
    const parsed = recordSchemas.registryState.parse(record && stateIn(record));
    expect(parsed).toMatchObject({ version: 1, position: positionOf(created), state: { kind: 'subscription', id: idOf(created) } });
    // Parsing drops what the contract does not name: nothing else may be in there.
    expect(record && stateIn(record)).toEqual(parsed);

    const [secret] = (parsed.state as SubscriptionState).signing_secrets;
    expect(secret && service.config.POSTHORN_ENCRYPTION_KEYS.decrypt(secret)).toBe(created.body['secret']);
  });

  it('hold a tombstone, with its position, when a subscription is deleted', async () => {
    const created = await create();
    const deleted = await service.call('DELETE', `${subscriptions}/${idOf(created)}`);
    const record = (await world.readTopic('registry.state')).findLast(({ key }) => key === idOf(created));
    expect(record).toEqual({
      key: idOf(created),
      position: positionOf(deleted),
      kind: 'subscription',
      schema: '1',
      text: undefined,
    });
  });

  it('hold every event in order, as stored, and no secret', async () => {
    const created = await create();
    const log = await world.readTopic('registry.log');
    const stored = await new EventStore(world.pool, 'registry').readAll(0, 10_000);
    expect(log.map(eventIn)).toEqual(stored);
    expect(log.map(({ position }) => position)).toEqual(stored.map(({ position }) => position));
    for (const record of log) recordSchemas.domainEvent.parse(eventIn(record));
    expect(eventIn(log.at(-1) ?? { key: '', position: 0, kind: '', schema: '', text: '{}' })).toMatchObject({
      type: 'SubscriptionCreated',
      actor: 'admin',
      cause: expect.stringMatching(/^request [\w-]+$/),
    });
    const everything = JSON.stringify([log, await world.readTopic('registry.state')]);
    expect(everything).not.toContain(String(created.body['secret']).slice('whsec_'.length));
    expect(everything).not.toContain('whsec_');
  });

  it('hold the states in the order of their positions', async () => {
    const positions = (await world.readTopic('registry.state')).map(({ position }) => position);
    expect(positions).toEqual([...positions].sort((a, b) => a - b));
  });
});

it('the read model equals the fold of the events', async () => {
  const events = await new EventStore(world.pool, 'registry').readAll(0, 10_000);
  const streams = new Map<string, readonly SubscriptionEvent[]>();
  for (const { stream, ...event } of events) {
    if (!stream.startsWith('subscription/')) continue;
    streams.set(stream, [...(streams.get(stream) ?? []), event as unknown as SubscriptionEvent]);
  }
  const folded = [...streams.values()].flatMap((history) => {
    const state = fold(subscription, history);
    return state.kind === 'subscription' ? [{ id: state.id, version: history.length, tenant: state.tenant, name: state.name, state }] : [];
  });
  const { rows } = await world.pool.query('select id, version, tenant, name, state from registry.subscriptions order by id');
  expect(rows).toEqual(folded.sort((a, b) => (a.id < b.id ? -1 : 1)));
  expect(rows.length).toBeGreaterThan(5);
});

it('is ready, and says how long a change takes to be known', async () => {
  await expect(service.health.readiness()).resolves.toMatchObject({ status: 'ready' });
  await expect(service.metrics.metrics()).resolves.toMatch(/posthorn_registry_propagation_seconds_count [1-9]/);
});

describe('after a crash between append and relay', () => {
  it('what was appended is published at the next start, in order, and nothing is lost', async () => {
    const created = await create({ name: 'Crash' });
    await service.stop();
    // The last thing a process did before it died: two commits that no relay has seen.
    const store = new EventStore(world.pool, 'registry');
    const stream = `subscription/${idOf(created)}`;
    const history = [...((await store.read(stream)) as unknown as readonly SubscriptionEvent[])];
    const positions: number[] = [];
    const at = new Date().toISOString();
    for (const name of ['First', 'Second']) {
      const event: SubscriptionEvent = { type: 'SubscriptionUpdated', data: { name }, at };
      const expectedVersion = history.length;
      history.push(event);
      const append = { stream, expectedVersion, events: [event] };
      const result = await store.append([append], { actor: 'tester' }, (client, [last]) =>
        writeRows(client, subscriptionAggregate, [
          { id: idOf(created), version: history.length, position: last?.position ?? 0, state: fold(subscription, history) },
        ]),
      );
      if (result.kind === 'appended') positions.push(...result.events.map(({ position }) => position));
    }

    service = await world.boot();
    await eventually(async () => (await world.readTopic('registry.state')).some(({ position }) => position === positions[1]));
    const patched = await service.call('PATCH', `${subscriptions}/${idOf(created)}`, { name: 'Third' });
    expect(patched).toMatchObject({ status: 200, body: { version: 4 } });

    const log = (await world.readTopic('registry.log')).filter(({ key }) => key === idOf(created));
    expect(log.map(({ position }) => position)).toEqual([positionOf(created), ...positions, positionOf(patched)]);
    const states = (await world.readTopic('registry.state')).filter(({ key }) => key === idOf(created)).map(stateIn);
    expect(states.map(({ version, position }) => [version, position])).toEqual([
      [1, positionOf(created)],
      [3, positions[1]],
      [4, positionOf(patched)],
    ]);
  });

  it('the default tenant is not made twice', async () => {
    const log = (await world.readTopic('registry.log')).map(eventIn);
    expect(log.filter(({ type, data }) => type === 'TenantCreated' && data['id'] === 'default')).toHaveLength(1);
  });
});

it('lets http and private addresses through where the operator allows them', async () => {
  const lenient = await world.boot({ POSTHORN_EGRESS_ALLOW_HTTP: 'true', POSTHORN_EGRESS_ALLOW_CIDRS: '127.0.0.0/8' });
  const created = await lenient.call('POST', subscriptions, { ...wanted, url: 'http://127.0.0.1:9999/in' });
  expect(created.status).toBe(201);
  await lenient.stop();
});
