import { z } from 'zod';
import { eventTypeName, timestamp } from './names.js';
import { pageQuery, queryFlag } from './pages.js';

export const eventTypeLimits = {
  description: 4096,
  /** Of the JSON Schema, as JSON text. */
  schemaBytes: 64 * 1024,
  /** Of the example, as JSON text. */
  exampleBytes: 64 * 1024,
  /** Types in one import. */
  imported: 1000,
  /** Of an import's body. */
  importBytes: 8 * 1024 * 1024,
} as const;

/** A JSON Schema (draft 2020-12) of an event's data. Deeper rules are the registry's: it compiles, `$ref` is local, it is at most 64 KiB. */
const jsonSchema = z.union([z.record(z.string(), z.unknown()), z.boolean()]).describe('JSON Schema (2020-12) of `data`; `$ref` only within it; at most 64 KiB');
export type JsonSchema = z.infer<typeof jsonSchema>;

const described = {
  description: z.string().max(eventTypeLimits.description),
  schema: jsonSchema,
  example: z.unknown().describe("An example of `data`; fits the schema; at most 64 KiB"),
};

/** `PUT /v1/tenants/{tenant}/event-types/{name}`: the whole; what is absent is removed. */
export const putEventTypeBody = z
  .strictObject({
    name: eventTypeName.optional().describe('As in the path'),
    ...z.object(described).partial().shape,
    archived: z.boolean().optional().describe('No longer offered; events of it are still delivered'),
    version: z.number().int().min(1).optional().describe('The present version, or the one after it for a schema that breaks'),
  })
  .meta({ id: 'PutEventType' });
export type PutEventTypeBody = z.infer<typeof putEventTypeBody>;

export const eventTypeView = z
  .object({
    name: eventTypeName,
    tenant: z.string(),
    description: z.string(),
    schema: jsonSchema.optional(),
    example: z.unknown().optional(),
    version: z.number().int().describe('Of the schema; rises when it breaks'),
    archived: z.boolean(),
    created_at: timestamp,
    updated_at: timestamp,
  })
  .meta({ id: 'EventType' });
export type EventTypeView = Readonly<z.infer<typeof eventTypeView>>;

export const eventTypesQuery = z.strictObject({
  ...pageQuery,
  archived: queryFlag.optional().describe('Only those that are, or are not'),
  q: z.string().min(1).max(128).optional().describe('Part of the name'),
});

/**
 * `POST …/event-types/import`: an OpenAPI 3.1 document with `webhooks`, or `{event_types: {name: {description?, schema?, example?}}}`, or
 * `{schemas: {name: JSON Schema}}`.
 */
export const importEventTypesBody = z
  .union([
    z.looseObject({ openapi: z.string().regex(/^3\.1\./, 'an OpenAPI document of version 3.1') }),
    z.strictObject({ event_types: z.record(z.string(), z.strictObject(z.object(described).partial().shape)) }),
    z.strictObject({ schemas: z.record(z.string(), jsonSchema) }),
  ])
  .meta({ id: 'ImportEventTypes' });
export type ImportEventTypesBody = z.infer<typeof importEventTypesBody>;

export const importQuery = z.strictObject({
  dry_run: queryFlag.optional().describe('Only tell what would change'),
  new_versions: queryFlag.optional().describe('Give a schema that breaks a new version instead of refusing it'),
});

/** What an import does to one type. `refused` only in a dry run: an import with one is refused whole. */
export const importedChange = z.object({
  name: z.string(),
  action: z.enum(['create', 'update', 'new_version', 'unchanged', 'refused']),
  version: z.number().int().optional(),
  reasons: z.array(z.object({ path: z.string(), message: z.string() })).optional().describe('Why it breaks, or what is wrong with it'),
});
export type ImportedChange = z.infer<typeof importedChange>;
export const importResult = z.object({ dry_run: z.boolean(), changes: z.array(importedChange) }).meta({ id: 'ImportResult' });
export type ImportResult = z.infer<typeof importResult>;
