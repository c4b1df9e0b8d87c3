import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import type { OpenAPIObject, OperationObject, ParameterObject, ReferenceObject, ResponseObject } from '@nestjs/swagger';
import { problemBody, problemCodes, REGISTRY_POSITION_HEADER } from '@posthorn/contracts';
import { z } from 'zod';
import { PROBLEM_MEDIA_TYPE } from '../problem.js';
import { routeKey, type DocumentedRoute } from './documented-routes.js';
import { jsonSchemaOf, type JsonObject, type SchemaComponents } from './json-schema.js';
import { operationIdOf, tagOf } from './operation-id.js';

/** What the head of a service's document says. */
export type ApiDescription = { readonly title: string; readonly description: string; readonly version: string };

const METHODS = ['get', 'put', 'post', 'patch', 'delete'] as const;
type Method = (typeof METHODS)[number];

/** Why a request was refused, by status. */
const REFUSALS = {
  400: ['Malformed', 'The request cannot be read.'],
  401: ['Unauthenticated', 'No API key came with the request, or one that is not valid.'],
  403: ['Forbidden', 'The API key does not have the scope.'],
  404: ['NotFound', "There is no such resource, or it is another tenant's."],
  409: ['Conflict', 'It exists already, is in another state, or the idempotency key was used for another request.'],
  412: ['VersionMismatch', '`If-Match` names another version than there is; `current_version` says which.'],
  413: ['TooLarge', 'The body is too large.'],
  415: ['UnsupportedMediaType', 'The content type is not understood.'],
  422: ['Invalid', 'The request is understood and not valid; `errors` names the members.'],
  429: ['RateLimited', 'Too many requests.'],
  500: ['Internal', 'Something went wrong here; the error was logged.'],
  503: ['Unavailable', 'A dependency is away.'],
} as const satisfies Partial<Record<(typeof problemCodes)[keyof typeof problemCodes], readonly [string, string]>>;
type Refusal = keyof typeof REFUSALS;

const HEADERS = {
  RetryAfter: { description: 'Seconds to wait before the next try.', schema: { type: 'integer' } },
  ETag: { description: 'The version, for `If-Match`.', schema: { type: 'string' } },
  RegistryPosition: {
    description: `Position of the change in \`registry.state\`: an event published with it as \`${REGISTRY_POSITION_HEADER}\` is routed by what it changed. Absent when nothing changed.`,
    schema: { type: 'integer' },
  },
} as const;

const HEADER_NAMES = { RetryAfter: 'Retry-After', ETag: 'ETag', RegistryPosition: 'Posthorn-Registry-Position' } as const;

const PARAMETERS = {
  IfMatch: {
    name: 'If-Match',
    in: 'header',
    description: '`ETag` of the version that the change is meant for; 412 when there is another by now.',
    schema: { type: 'string' },
  },
  IdempotencyKey: {
    name: 'Idempotency-Key',
    in: 'header',
    description: 'A key of the client’s choice: for 24 h, a call that writes is answered as it was the first time.',
    schema: { type: 'string', minLength: 1, maxLength: 255 },
  },
} as const satisfies Record<string, ParameterObject>;

const reference = (kind: 'headers' | 'parameters' | 'responses', name: string): ReferenceObject => ({ $ref: `#/components/${kind}/${name}` });

/** The versioned things are those whose answer shows a version. */
const isVersioned = (schema: z.ZodType | undefined): boolean => schema instanceof z.ZodObject && 'version' in schema.shape;

const TENANT = '/v1/tenants/{tenant}';

/** The path of the one thing that an operation is about: `…/subscriptions/{id}` of `…/subscriptions/{id}/enable`. What is below a tenant is not about the tenant. */
const thingOf = (path: string): string | undefined => {
  const [, thing] = /^(.*\})(?:\/[\w-]+)?$/.exec(path) ?? [];
  return thing === TENANT && path !== TENANT ? undefined : thing;
};

const parametersIn = (path: string): readonly string[] => [...path.matchAll(/\{(\w+)\}/g)].map(([, name = '']) => name);

const isWritingRegistry = ({ scope }: NonNullable<DocumentedRoute['scoped']>): boolean => scope === 'registry:write' || scope === 'admin';

/** Whether it changes something in the registry, which alone keeps versions and positions. */
const changesOf = ({ method }: Place, { answer, scoped }: DocumentedRoute): boolean =>
  method !== 'get' && answer.changes !== false && scoped !== undefined && isWritingRegistry(scoped);

/** Whether it is answered as before under the same key. What publishes says by itself what its key means. */
const isRemembered = ({ method }: Place, { answer, scoped }: DocumentedRoute): boolean =>
  method === 'post' && answer.changes !== false && scoped !== undefined && (isWritingRegistry(scoped) || scoped.scope === 'audit:write');

type Place = { readonly method: Method; readonly path: string };

/** What may be refused, as far as the shape of the operation tells. */
const refusalsOf = ({ method, path }: Place, { parameters = [], requestBody }: OperationObject, route: DocumentedRoute, matched: boolean): readonly Refusal[] => {
  const asks = requestBody !== undefined || parameters.some((parameter) => 'in' in parameter && parameter.in === 'query');
  const may: Readonly<Record<Refusal, boolean>> = {
    400: requestBody !== undefined || route.taken?.headers !== undefined || matched || isRemembered({ method, path }, route),
    401: route.scoped !== undefined,
    403: route.scoped !== undefined,
    404: parametersIn(path).length > 0,
    409: method !== 'get' && route.answer.changes !== false,
    412: matched,
    413: requestBody !== undefined,
    415: requestBody !== undefined,
    422: asks,
    429: route.scoped !== undefined,
    500: true,
    503: true,
  };
  return (Object.keys(REFUSALS).map(Number) as Refusal[]).filter((status) => may[status]); // the keys are known to be these
};

const responseOf = ({ schema, summary, mediaType = 'application/json', alsoAs = [] }: DocumentedRoute['answer'], headers: readonly (keyof typeof HEADERS)[], components: SchemaComponents): ResponseObject => ({
  description: summary,
  ...(headers.length > 0 && { headers: Object.fromEntries(headers.map((name) => [HEADER_NAMES[name], reference('headers', name)])) }),
  ...(schema !== undefined && { content: { [mediaType]: { schema: jsonSchemaOf(schema, 'output', components) }, ...Object.fromEntries(alsoAs.map((other) => [other, { schema: { type: 'string' } }])) } }),
});

/** An operation with what its method reads by itself, which Nest's decorators do not know. */
const withTaken = (described: OperationObject, { taken }: DocumentedRoute, components: SchemaComponents): OperationObject => {
  if (taken === undefined) return described;
  const content = Object.entries(taken.body ?? {}).map(([mediaType, schema]) => [mediaType, { schema: jsonSchemaOf(schema, 'input', components) }]);
  const headers = Object.entries(taken.headers?.shape ?? {}).map(([name, schema]): ParameterObject => {
    const { description, ...rest } = jsonSchemaOf(schema as z.ZodType, 'input', components); // zod's objects are made of nothing else
    return { name, in: 'header', ...(typeof description === 'string' && { description }), schema: rest };
  });
  return {
    ...described,
    parameters: [...(described.parameters ?? []), ...headers],
    ...(taken.body && { requestBody: { required: taken.isOptional !== true, content: Object.fromEntries(content) } }),
  };
};

/** An operation as Nest's decorators describe it, and what follows from its scope, its answer and its place. */
const completed = (described: OperationObject, place: Place, route: DocumentedRoute, versioned: ReadonlySet<string>, components: SchemaComponents): OperationObject & JsonObject => {
  const { method, path } = place;
  const { answer, scoped } = route;
  const changes = changesOf(place, route);
  const matched = changes && versioned.has(thingOf(path) ?? '');
  const named = new Set((described.parameters ?? []).map((parameter) => ('in' in parameter ? `${parameter.in} ${parameter.name}` : '')));
  const parameters = [
    ...parametersIn(path)
      .filter((name) => !named.has(`path ${name}`))
      .map((name): ParameterObject => ({ name, in: 'path', required: true, schema: { type: 'string' } })),
    ...(described.parameters ?? []),
    ...(matched ? [reference('parameters', 'IfMatch')] : []),
    ...(isRemembered(place, route) ? [reference('parameters', 'IdempotencyKey')] : []),
  ];
  const headers = [...(isVersioned(answer.schema) ? (['ETag'] as const) : []), ...(changes ? (['RegistryPosition'] as const) : [])];
  const refusals = refusalsOf(place, described, route, matched);
  const right = scoped === undefined ? 'Takes no key.' : `Takes a key with the scope \`${scoped.scope}\`${scoped.allTenants ? ', for all tenants' : ''}.`;
  return {
    operationId: answer.operationId ?? operationIdOf(method, path),
    tags: [tagOf(path)],
    summary: answer.summary,
    description: right,
    ...(scoped && { 'x-required-scope': scoped.scope }),
    ...(scoped?.allTenants && { 'x-all-tenants': true }),
    security: scoped === undefined ? [] : [{ key: [] }],
    parameters,
    ...(described.requestBody && { requestBody: described.requestBody }),
    responses: {
      [answer.status]: responseOf(answer, headers, components),
      ...Object.fromEntries(refusals.map((status) => [status, reference('responses', REFUSALS[status][0])])),
    },
  };
};

const refusalResponse = (status: Refusal): ResponseObject => ({
  description: REFUSALS[status][1],
  ...((status === 429 || status === 503) && { headers: { 'Retry-After': reference('headers', 'RetryAfter') } }),
  content: { [PROBLEM_MEDIA_TYPE]: { schema: { $ref: '#/components/schemas/Problem' } } },
});

/**
 * The OpenAPI 3.1 document of a service. Paths, parameters and bodies are read from Nest's decorators by @nestjs/swagger, which is loaded
 * here and not before: it takes a quarter of a second, and most processes are never asked. The rest follows from `Answers` and `Scoped`.
 */
export const openApiDocument = async (
  app: NestFastifyApplication,
  routes: ReadonlyMap<string, DocumentedRoute>,
  api: ApiDescription,
): Promise<OpenAPIObject> => {
  const { SwaggerModule } = await import('@nestjs/swagger');
  const components: SchemaComponents = new Map();
  jsonSchemaOf(problemBody, 'output', components);
  const head = { openapi: '3.1.0', info: { ...api }, servers: [{ url: '/' }] };
  const described = SwaggerModule.createDocument(app, head, {
    operationIdFactory: routeKey,
    standardSchemaConverter: (schema) => (schema instanceof z.ZodType ? { schema: jsonSchemaOf(schema, 'input', components) } : undefined),
  });
  const operations = Object.entries(described.paths).flatMap(([path, item]) =>
    METHODS.flatMap((method) => {
      const operation = item[method];
      const route = routes.get(operation?.operationId ?? '');
      return operation && route ? [{ path, method, operation, route }] : [];
    }),
  );
  const versioned = new Set(operations.filter(({ path, route }) => path === thingOf(path) && isVersioned(route.answer.schema)).map(({ path }) => path));
  const paths: Record<string, Record<string, OperationObject>> = {};
  for (const { path, method, operation, route } of operations) {
    const item = (paths[path] ??= {});
    item[method] = completed(withTaken(operation, route, components), { method, path }, route, versioned, components);
  }
  return {
    ...head,
    tags: [...new Set(operations.map(({ path }) => tagOf(path)))].sort().map((name) => ({ name })),
    paths,
    components: {
      schemas: Object.fromEntries([...components].sort(([a], [b]) => (a < b ? -1 : 1))),
      responses: Object.fromEntries((Object.keys(REFUSALS).map(Number) as Refusal[]).map((status) => [REFUSALS[status][0], refusalResponse(status)])), // as above
      headers: HEADERS,
      parameters: PARAMETERS,
      securitySchemes: {
        key: { type: 'http', scheme: 'bearer', description: 'An API key (`phk_…`), or a portal token.' },
      },
    },
  };
};
