import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { newId, type AggregateState } from '@posthorn/contracts';
import type { SubscriptionCommand } from '@posthorn/domain';
import { subscriptionCommands } from '@posthorn/domain/spec-support';
import { EventStore, RelayCheckpoint } from '@posthorn/event-store';
import { Problem } from '@posthorn/service-kit';
import { eventually } from '@posthorn/testkit';
import * as fc from 'fast-check';
import { Aggregates } from '../src/aggregates.js';
import { Progress } from '../src/commands/progress.js';
import { verify } from '../src/commands/rebuild.js';
import { viewOfEventType } from '../src/event-types/event-type-table.js';
import { RememberedAnswers } from '../src/idempotency/remembered-answers.js';
import { readModels } from '../src/read-models.js';
import { RELAY } from '../src/streams.js';
import { subscriptionAggregate } from '../src/subscriptions/subscription-table.js';
import { viewOfSubscription } from '../src/subscriptions/subscription-view.js';
import { viewOfTenant } from '../src/tenants/tenant-view.js';
import { foldedFrom, storedEvents, type Folded } from './folded.js';
import { createWorld, eventIn, idOf, stateIn, type Answer, type Service, type World } from './world.js';

let world: World;
let service: Service;
let store: EventStore;
/** The application layer of another replica, as it were: what comes through no door is asked of it. */
let aggregates: Aggregates;

beforeAll(async () => {
  world = await createWorld();
  service = await world.boot();
  store = new EventStore(world.pool, 'registry');
  const log = { warn: () => undefined };
  aggregates = new Aggregates({
    store,
    relay: { waitUntilRelayed: () => Promise.resolve(true) },
    answers: new RememberedAnswers(world.pool, service.config.POSTHORN_ENCRYPTION_KEYS, log),
    log,
  });
}, 60_000);
afterAll(() => world.destroy(), 60_000);

// What is asked for. Numbers name what a run has made so far, so that a shorter list of requests still means something.

type Request = {
  readonly to: 'tenants' | 'tenant' | 'event type' | 'subscriptions' | 'batch' | 'subscription' | 'keys' | 'key';
  readonly method: 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  /** One of the run's tenants. */
  readonly tenant: number;
  /** Of the subscriptions and keys made so far. */
  readonly nth: number;
  /** Below the path. */
  readonly rest?: string | undefined;
  readonly body?: object | undefined;
  readonly ifMatch?: number | undefined;
};

/** What one client asks for, one after the other. */
type Client =
  | { readonly through: 'the doors'; readonly requests: readonly Request[] }
  | { readonly through: 'no door'; readonly commands: readonly SubscriptionCommand[] };

const TENANTS = 3;
const label = fc.constantFrom('a', 'b', 'Rechnungen é');
const absent = fc.constant(undefined);
const stale = fc.option(fc.integer({ min: 1, max: 3 }), { nil: undefined, freq: 4 });

const to = (
  to: Request['to'],
  method: Request['method'],
  body: fc.Arbitrary<object | undefined> = absent,
  rest: fc.Arbitrary<string | undefined> = absent,
): fc.Arbitrary<Request> =>
  fc.record({
    to: fc.constant(to),
    method: fc.constant(method),
    tenant: fc.nat({ max: TENANTS - 1 }),
    nth: fc.nat({ max: 20 }),
    rest,
    body,
    ifMatch: method === 'POST' ? absent : stale,
  });

const tenantSettings = fc.record(
  { schema_policy: fc.constantFrom('off', 'warn', 'reject'), unknown_event_types: fc.constantFrom('accept', 'reject'), retention: fc.constantFrom('24h', '720h') },
  { requiredKeys: [] },
);
const eventTypeBody = fc.record(
  {
    description: label,
    archived: fc.boolean(),
    example: fc.constantFrom({ total: 1 }, null),
    schema: fc.constantFrom({ title: 'a' }, { title: 'b' }, { type: 'object' }),
    version: fc.constantFrom(1, 2, 3),
  },
  { requiredKeys: [] },
);
const subscriptionMembers = {
  name: label,
  description: label,
  url: fc.constantFrom('https://example.com/a', 'https://example.com/b'),
  event_types: fc.constantFrom(['*'], ['invoice.*'], ['invoice.paid', 'order.*']),
  filter: fc.constantFrom('data.total > 100.0', 'data.n == 1'),
  enabled: fc.boolean(),
  metadata: fc.constantFrom({}, { team: 'a' }, { team: '"b"', x: '{\\}' }),
  policy: fc.record({ timeout: fc.constantFrom('5s', '15s'), retry_schedule: fc.constantFrom([], ['5s', '5m']) }, { requiredKeys: [] }),
};
const creation = fc.record(subscriptionMembers, { requiredKeys: ['name', 'url', 'event_types'] });
const change = fc.record(
  { ...subscriptionMembers, description: fc.option(label), filter: fc.option(subscriptionMembers.filter) },
  { requiredKeys: [] },
);
const scopes = fc.constantFrom(['registry:read'], ['registry:write', 'audit:read']);

const request: fc.Arbitrary<Request> = fc.oneof(
  { weight: 2, arbitrary: to('tenants', 'POST', fc.record({ name: label, settings: tenantSettings }, { requiredKeys: [] })) },
  { weight: 3, arbitrary: to('tenant', 'PATCH', fc.record({ name: label, settings: tenantSettings }, { requiredKeys: [] })) },
  { weight: 1, arbitrary: to('tenant', 'DELETE') },
  { weight: 6, arbitrary: to('event type', 'PUT', eventTypeBody, fc.constantFrom('invoice.paid', 'order')) },
  { weight: 2, arbitrary: to('event type', 'DELETE', absent, fc.constantFrom('invoice.paid', 'order')) },
  { weight: 6, arbitrary: to('subscriptions', 'POST', creation) },
  { weight: 1, arbitrary: to('batch', 'POST', fc.record({ subscriptions: fc.array(creation, { minLength: 1, maxLength: 4 }) })) },
  { weight: 6, arbitrary: to('subscription', 'PATCH', change) },
  { weight: 4, arbitrary: to('subscription', 'POST', absent, fc.constantFrom('/enable', '/disable')) },
  { weight: 2, arbitrary: to('subscription', 'POST', fc.constantFrom({}, { overlap: '0s' }, { signature: 'v1a' }), fc.constant('/rotate-secret')) },
  { weight: 2, arbitrary: to('subscription', 'DELETE') },
  { weight: 2, arbitrary: to('keys', 'POST', fc.record({ name: label, scopes })) },
  { weight: 1, arbitrary: to('key', 'DELETE') },
);

const client: fc.Arbitrary<Client> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ through: fc.constant('the doors' as const), requests: fc.array(request, { minLength: 1, maxLength: 12, size: 'max' }) }) },
  { weight: 1, arbitrary: fc.record({ through: fc.constant('no door' as const), commands: subscriptionCommands() }) },
);

/** Several clients at once; when all are done the next several. */
const clients = fc.array(fc.array(client, { minLength: 1, maxLength: 4, size: 'max' }), { minLength: 1, maxLength: 3 });

// How it is asked.

/** Whatever else an answer may be, it is one of these. */
const EXPECTED: ReadonlySet<number> = new Set([200, 201, 204, 404, 409, 412]);
/** A schema may break with the one before it; and the tenant of a key is a member of the body. */
const MAY_BE_INVALID: ReadonlySet<Request['to']> = new Set(['event type', 'keys']);

/** Tenants of its own, and what was made beneath them. */
class Run {
  static #count = 0;
  readonly tenants = Array.from({ length: TENANTS }, (_, n) => `run-${Run.#count}-${n}`);
  readonly #subscriptions: string[] = [];
  readonly #keys: string[] = [];

  constructor() {
    Run.#count++;
  }

  async of(rounds: readonly (readonly Client[])[]): Promise<void> {
    // Otherwise most of what is asked for is not there.
    for (const id of this.tenants.slice(1)) await service.call('POST', '/tenants', { id });
    for (const round of rounds) {
      await Promise.all(round.map((client) => (client.through === 'no door' ? live(client.commands) : this.#askAll(client.requests))));
    }
  }

  async #askAll(requests: readonly Request[]): Promise<void> {
    for (const request of requests) {
      const path = this.#pathOf(request);
      if (path === undefined) continue;
      const { method, ifMatch } = request;
      const answer = await service.call(method, path, this.#bodyOf(request), ifMatch === undefined ? {} : { 'if-match': `"${ifMatch}"` });
      if (!EXPECTED.has(answer.status) && !(answer.status === 422 && MAY_BE_INVALID.has(request.to))) {
        throw new Error(`${method} ${path} was answered ${answer.status} ${JSON.stringify(answer.body)}`);
      }
      this.#learn(request, path, answer);
    }
  }

  /** Undefined when there is nothing yet to be meant. */
  #pathOf({ to, tenant, nth, rest = '' }: Request): string | undefined {
    const beneath = `/tenants/${this.tenants[tenant]}`;
    switch (to) {
      case 'tenants':
        return '/tenants';
      case 'tenant':
        return beneath;
      case 'event type':
        return `${beneath}/event-types/${rest}`;
      case 'subscriptions':
        return `${beneath}/subscriptions`;
      case 'batch':
        return `${beneath}/subscriptions/batch`;
      case 'keys':
        return '/api-keys';
      case 'subscription':
      case 'key': {
        const made = to === 'key' ? this.#keys : this.#subscriptions;
        const path = made[nth % Math.max(1, made.length)];
        return path === undefined ? undefined : `${path}${rest}`;
      }
    }
  }

  #bodyOf({ to, tenant, body }: Request): object | undefined {
    if (to === 'tenants') return { id: this.tenants[tenant], ...body };
    return to === 'keys' ? { tenant: this.tenants[tenant], ...body } : body;
  }

  #learn({ to }: Request, path: string, answer: Answer): void {
    if (to === 'keys' && answer.status === 201) this.#keys.push(`/api-keys/${idOf(answer)}`);
    if (to === 'subscriptions' && answer.status === 201) this.#subscriptions.push(`${path}/${idOf(answer)}`);
    if (to !== 'batch' || answer.status !== 200) return;
    for (const { id } of answer.body['results'] as { id?: string }[]) if (id) this.#subscriptions.push(`${path.replace('/batch', '')}/${id}`);
  }
}

/** A whole life of a subscription, beside the doors: with everything that a subscription can be. */
const live = async (commands: readonly SubscriptionCommand[]): Promise<void> => {
  const id = newId('sub');
  for (const given of commands) {
    const command = given.kind === 'create' ? { ...given, id } : given;
    try {
      await aggregates.change(subscriptionAggregate, id, () => command, { by: { actor: 'tester' } }, { answer: () => undefined });
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
    }
  }
};

// What must be true then.

const allRelayed = (): Promise<unknown> => {
  const checkpoint = new RelayCheckpoint(world.pool, 'registry', RELAY);
  return eventually(async () => (await checkpoint.read()).position === (await store.lastPosition()));
};

const byKey = <T>(entries: readonly (readonly [string, T])[]): Readonly<Record<string, T>> => Object.fromEntries(entries);

/** The rows of a table, by id, with the columns that are folded from events. */
const rowsNow = async (table: string, columns: string): Promise<unknown> => {
  const { rows } = await world.pool.query<{ readonly id: string }>(`select id, version, ${columns} from registry.${table}`);
  return byKey(rows.map((row) => [row.id, row]));
};

type Of<Kind extends AggregateState['kind']> = Omit<Folded, 'state'> & { readonly state: Extract<AggregateState, { kind: Kind }> };

const living = <Kind extends AggregateState['kind']>(all: readonly Folded[], kind: Kind): readonly Of<Kind>[] =>
  all.filter((one): one is Of<Kind> => one.kind === kind && one.state.kind === kind);

const bare = ({ id, version, state }: Folded) => ({ id, version, state });

const expectRows = async (all: readonly Folded[]): Promise<void> => {
  const rows = {
    tenants: await rowsNow('tenants', 'state'),
    event_types: await rowsNow('event_types', 'tenant, name, archived, state'),
    subscriptions: await rowsNow('subscriptions', 'tenant, name, enabled, event_types, state'),
    api_keys: await rowsNow('api_keys', 'tenant, hash, state'),
    portal_keys: await rowsNow('portal_keys', 'state'),
  };
  expect(rows).toEqual({
    tenants: byKey(living(all, 'tenant').map((one) => [one.id, bare(one)])),
    event_types: byKey(
      living(all, 'event_type').map(({ id, version, state }) => {
        const { tenant, name, archived } = state;
        return [id, { id, version, tenant, name, archived, state }];
      }),
    ),
    subscriptions: byKey(
      living(all, 'subscription').map(({ id, version, state }) => {
        const { tenant, name, enabled, event_types } = state;
        return [id, { id, version, tenant, name, enabled, event_types, state }];
      }),
    ),
    api_keys: byKey(
      living(all, 'api_key').map(({ id, version, state }) => [id, { id, version, tenant: state.tenant ?? null, hash: state.hash, state }]),
    ),
    portal_keys: byKey(living(all, 'portal_key').map((one) => [one.id, bare(one)])),
  });
};

/** What `GET` says of each of these paths: version and body, or that there is nothing. */
const answersOf = async (paths: readonly string[]): Promise<unknown> =>
  byKey(
    await Promise.all(
      paths.map(async (path) => {
        const { status, headers, body } = await service.call('GET', path);
        return [path, status === 200 ? { etag: headers.get('etag'), body } : status] as const;
      }),
    ),
  );

const answer = (version: number, body: object) => ({ etag: `"${version}"`, body: JSON.parse(JSON.stringify(body)) as unknown });

const expectAnswers = async (all: readonly Folded[], tenants: readonly string[]): Promise<void> => {
  const isOurs = (tenant: string): boolean => tenants.includes(tenant);
  const expected = new Map<string, unknown>(tenants.map((id) => [`/tenants/${id}`, 404]));
  for (const { id, version, state } of living(all, 'tenant')) {
    if (isOurs(id)) expected.set(`/tenants/${id}`, answer(version, viewOfTenant(state, version)));
  }
  for (const { kind, id, version, state } of all) {
    const [tenant = '', name] = id.split('/');
    if (kind !== 'event_type' || !isOurs(tenant)) continue;
    expected.set(`/tenants/${tenant}/event-types/${name}`, state.kind === 'event_type' ? answer(version, viewOfEventType(state)) : 404);
  }
  for (const { id, version, state } of living(all, 'subscription')) {
    if (!isOurs(state.tenant) && state.tenant !== 'default') continue;
    expected.set(`/tenants/${state.tenant}/subscriptions/${id}`, answer(version, viewOfSubscription(state, version)));
  }
  await expect(answersOf([...expected.keys()])).resolves.toEqual(byKey([...expected]));
  for (const tenant of tenants) await expectLists(all, tenant);
};

const listed = async (path: string): Promise<unknown> => {
  const { status, body } = await service.call('GET', path);
  return status === 200 ? (body['data'] as { id: string; name: string }[]).map(({ id, name }) => [id, name]) : status;
};
const idsAndNames = (some: readonly { readonly state: { readonly id: string; readonly name: string } }[]) =>
  some.map(({ state }) => [state.id, state.name]).sort();

/** That the lists of a tenant hold what there is, and nothing else. */
const expectLists = async (all: readonly Folded[], tenant: string): Promise<void> => {
  const isThere = living(all, 'tenant').some(({ id }) => id === tenant);
  const keys = living(all, 'api_key').filter(({ state }) => state.tenant === tenant);
  await expect(listed(`/api-keys?tenant=${tenant}&page_size=250`)).resolves.toEqual(idsAndNames(keys));
  await expect(listed(`/tenants/${tenant}/subscriptions?page_size=250`)).resolves.toEqual(
    isThere ? idsAndNames(living(all, 'subscription').filter(({ state }) => state.tenant === tenant)) : 404,
  );
};

/** `registry.state` says of each aggregate last what it is, and of a deleted one that it is gone. */
const expectStates = async (all: readonly Folded[]): Promise<void> => {
  const last = new Map<string, unknown>();
  for (const record of await world.readTopic('registry.state')) {
    const said = record.text === undefined ? 'gone' : stateIn(record);
    last.set(`${record.kind}/${record.key}`, said === 'gone' ? said : { version: said.version, state: said.state });
  }
  const expected = all.map(({ kind, id, version, state }) => [`${kind}/${id}`, state.kind === kind ? { version, state } : 'gone'] as const);
  expect(byKey([...last])).toEqual(byKey(expected));
};

const expectNothingBeneathTheDeleted = (all: readonly Folded[]): void => {
  const gone = new Set(all.flatMap(({ kind, id, state }) => (kind === 'tenant' && state.kind !== 'tenant' ? [id] : [])));
  const orphans = all.filter(({ state }) => 'tenant' in state && state.tenant !== undefined && gone.has(state.tenant));
  expect(orphans).toEqual([]);
};

const checked = async (rounds: readonly (readonly Client[])[]): Promise<void> => {
  const run = new Run();
  await run.of(rounds);
  await allRelayed();
  const all = foldedFrom(await storedEvents(world.pool));
  await expect(verify({ pool: world.pool, store, readModels, progress: new Progress('events', () => undefined) }, 20)).resolves.toEqual([]);
  await expectRows(all);
  await expectAnswers(all, run.tenants);
  await expectStates(all);
  expectNothingBeneathTheDeleted(all);
};

it('whatever is asked for, some of it at once: tables, answers and topic say what the events say', async () => {
  let underWay = Promise.resolve();
  const property = fc.asyncProperty(clients, (rounds) => (underWay = checked(rounds)));
  try {
    // On a slow machine fewer runs; and looking for a shorter example after a failure ends then, too.
    await expect(fc.assert(property, { numRuns: 10, interruptAfterTimeLimit: 12_000 })).resolves.toBeUndefined();
  } finally {
    // An interrupted run is not waited for; what comes next shall not meet its writes.
    await underWay.catch(() => undefined);
  }
}, 60_000);

it('registry.log holds every event once, in the order of the positions, each aggregate’s from its first to its last', async () => {
  const path = '/tenants/default/subscriptions';
  const wanted = { name: 'Log', url: 'https://example.com/in', event_types: ['*'] };
  const shared = idOf(await service.call('POST', path, wanted));
  const answered: number[] = [];
  const write = async (n: number): Promise<void> => {
    const own = idOf(await service.call('POST', path, wanted));
    for (let i = 0; i < 5; i++) {
      const { status } = await service.call('PATCH', `${path}/${shared}`, { description: `${n} ${i}` });
      answered.push(status);
      await service.call('PATCH', `${path}/${own}`, { description: `${i}` });
    }
    await service.call('DELETE', `${path}/${own}`);
  };
  await Promise.all(Array.from({ length: 8 }, (_, n) => write(n)));
  expect(new Set(answered)).toEqual(new Set([200]));
  await allRelayed();

  const stored = await storedEvents(world.pool);
  const log = await world.readTopic('registry.log');
  expect(log.map((record) => ({ ...eventIn(record), position: record.position, key: record.key }))).toMatchObject(
    stored.map((event) => ({ ...event, key: event.stream.slice(event.stream.indexOf('/') + 1) })),
  );
  const positions = log.map(({ position }) => position);
  expect(positions).toEqual([...new Set(positions)].sort((a, b) => a - b));
  const versions = new Map<string, number[]>();
  for (const { stream, version } of log.map(eventIn)) versions.set(stream, [...(versions.get(stream) ?? []), version]);
  for (const [stream, seen] of versions) expect([stream, seen]).toEqual([stream, seen.map((_, index) => index + 1)]);
  expect(versions.get(`subscription/${shared}`)).toHaveLength(1 + answered.filter((status) => status === 200).length);
}, 60_000);
