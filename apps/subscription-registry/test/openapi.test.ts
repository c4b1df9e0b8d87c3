import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { createWorld, type World } from './world.js';

type Node = Readonly<Record<string, unknown>>;
type Parameter = { readonly $ref?: string; readonly name: string; readonly in: string; readonly schema: Node };
type Operation = {
  readonly operationId: string;
  readonly summary: string;
  readonly description: string;
  readonly tags: readonly string[];
  readonly parameters: readonly Parameter[];
  readonly responses: Readonly<Record<string, { readonly description?: string; readonly $ref?: string }>>;
  readonly 'x-required-scope': string;
};
type Document = Node & { readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>; readonly components: Readonly<Record<string, Node>> };

let world: World;
let document: Document;
let origin: string;

beforeAll(async () => {
  world = await createWorld();
  ({ origin } = await world.boot());
  document = (await (await fetch(`${origin}/docs/openapi.json`)).json()) as Document;
}, 60_000);
afterAll(() => world.destroy());

const operations = (): readonly (Operation & { readonly method: string; readonly path: string })[] =>
  Object.entries(document.paths).flatMap(([path, item]) => Object.entries(item).map(([method, operation]) => ({ ...operation, method, path })));

const named = (names: readonly string[]): readonly Operation[] => operations().filter(({ operationId }) => names.includes(operationId));

const isIdempotent = ({ parameters }: Operation): boolean => parameters.some(({ $ref }) => $ref?.endsWith('/IdempotencyKey'));

describe('the OpenAPI document', () => {
  it('has every operation of the registry, once', () => {
    const ids = operations().map(({ operationId }) => operationId);
    expect([...ids].sort()).toEqual([
      'checkFilter',
      'createApiKey',
      'createPortalToken',
      'createSubscription',
      'createSubscriptions',
      'createTenant',
      'deleteApiKey',
      'deleteEventType',
      'deleteSubscription',
      'deleteTenant',
      'disableSubscription',
      'enableSubscription',
      'getEventType',
      'getSubscription',
      'getSubscriptionHistory',
      'getSubscriptionSecret',
      'getTenant',
      'importEventTypes',
      'listApiKeys',
      'listEventTypes',
      'listSubscriptions',
      'listTenants',
      'putEventType',
      'rotateSubscriptionSecret',
      'testSubscription',
      'updateSubscription',
      'updateTenant',
    ]);
  });

  it('says of each what it is for, what it takes of a key, and what it answers', () => {
    for (const { operationId, summary, description, tags, responses, ...rest } of operations()) {
      expect({ operationId, summary, description, tags, responses, scope: rest['x-required-scope'] }).toEqual({
        operationId,
        summary: expect.stringMatching(/^[A-Z].*\.$/),
        description: expect.stringContaining('scope'),
        tags: [expect.any(String)],
        responses: expect.objectContaining({ 401: expect.anything(), 403: expect.anything(), 503: expect.anything() }),
        scope: expect.stringMatching(/^(?:admin|registry:(?:read|write))$/),
      });
      const successes = Object.keys(responses).filter((status) => status.startsWith('2'));
      expect([operationId, successes.length]).toEqual([operationId, 1]);
    }
  });

  it('promises idempotency, and a position, where something is written', () => {
    const writing = ['createTenant', 'createSubscription', 'createSubscriptions', 'enableSubscription', 'rotateSubscriptionSecret', 'importEventTypes', 'createApiKey'];
    expect(named(writing).map(isIdempotent)).toEqual(writing.map(() => true));
    const trying = ['checkFilter', 'testSubscription', 'createPortalToken'];
    expect(JSON.stringify(named(trying))).not.toMatch(/IdempotencyKey|IfMatch|RegistryPosition|Conflict/);
  });

  it('declares the parameters in the paths, and none twice', () => {
    for (const { path, operationId, parameters } of operations()) {
      const inPath = parameters.filter((parameter) => parameter.in === 'path').map(({ name }) => name);
      expect([operationId, [...inPath].sort()]).toEqual([operationId, [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name).sort()]);
      const all = parameters.map((parameter) => parameter.$ref ?? `${parameter.in} ${parameter.name}`);
      expect([operationId, new Set(all).size]).toEqual([operationId, all.length]);
    }
  });

  it('refers to nothing that it does not hold, and holds no schema that nothing refers to', () => {
    const text = JSON.stringify(document);
    const references = new Set([...text.matchAll(/"\$ref":"#\/([^"]+)"/g)].map(([, path = '']) => path));
    for (const path of references) {
      const found = path.split('/').reduce<unknown>((node, name) => (node as Node | undefined)?.[name], document);
      expect([path, found]).toEqual([path, expect.any(Object)]);
    }
    for (const name of Object.keys(document.components['schemas'] ?? {})) expect(references).toContain(`components/schemas/${name}`);
  });

  it('shows no secret where a subscription is read, and tells it where one is made', () => {
    const { Subscription, CreatedSubscription } = document.components['schemas'] as Readonly<Record<string, { properties: Node }>>;
    expect([Subscription?.properties, CreatedSubscription?.properties].map((properties) => Object.hasOwn(properties ?? {}, 'secret'))).toEqual([false, true]);
  });

  it('is shown by a page, to anybody', async () => {
    const page = await fetch(`${origin}/docs`);
    expect([page.status, page.headers.get('content-type')]).toEqual([200, 'text/html; charset=utf-8']);
  });
});
