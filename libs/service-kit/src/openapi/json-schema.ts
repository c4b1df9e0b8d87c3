import { z } from 'zod';

export type JsonObject = { [name: string]: unknown };
/** As in `#/components/schemas`, where the schemas with an `id` live. */
export type SchemaComponents = Map<string, JsonObject>;

const PREFIX = '#/components/schemas/';

const isObject = (value: unknown): value is JsonObject => typeof value === 'object' && value !== null && !Array.isArray(value);

/** `#/$defs/X` as an OpenAPI document refers to it. */
const relocated = (value: unknown): unknown => {
  if (Array.isArray(value)) return value.map(relocated);
  if (!isObject(value)) return value;
  return Object.fromEntries(
    Object.entries(value).map(([name, member]) => [
      name,
      name === '$ref' && typeof member === 'string' ? member.replace('#/$defs/', PREFIX) : relocated(member),
    ]),
  );
};

/**
 * The JSON Schema of what goes in, or comes out, by a zod schema. Those with an id become components.
 * @throws {TypeError} when two different schemas have the same id
 */
export const jsonSchemaOf = (schema: z.ZodType, io: 'input' | 'output', components: SchemaComponents): JsonObject => {
  const whole = z.toJSONSchema(schema, {
    io,
    unrepresentable: 'any',
    override: ({ zodSchema, jsonSchema }) => {
      // A client that refuses members which it does not know breaks with the next version.
      if (io === 'output' && zodSchema instanceof z.core.$ZodObject) delete jsonSchema.additionalProperties;
      // Half a page, for what the format says.
      if (jsonSchema.format === 'date-time') delete jsonSchema.pattern;
    },
  });
  const { $schema: _dialect, $defs = {}, ...rest } = whole;
  for (const [id, definition] of Object.entries($defs)) {
    const { id: _id, ...component } = relocated(definition) as JsonObject; // an object in, an object out
    const known = components.get(id);
    if (known !== undefined && JSON.stringify(known) !== JSON.stringify(component)) throw new TypeError(`two schemas are called ${id}`);
    components.set(id, component);
  }
  return relocated(rest) as JsonObject; // as above
};
