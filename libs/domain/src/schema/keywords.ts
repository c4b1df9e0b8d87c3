import type { JsonSchema } from '@posthorn/contracts';

type Form =
  /** Says something to readers, nothing to a validator. */
  | 'annotation'
  /** Judges the value by itself: its value holds no schema. */
  | 'assertion'
  /** A schema, a list of schemas, schemas by name. */
  | 'schema'
  | 'list'
  | 'map'
  /** Names another schema. */
  | 'reference';

export type Keyword = {
  readonly form: Form;
  /** Its schemas judge the very value that the keyword stands at, not a part of it. */
  readonly inPlace?: true;
};

const all = (form: Form, names: string, inPlace?: true): [string, Keyword][] =>
  names.split(' ').map((name) => [name, { form, ...(inPlace && { inPlace }) }]);

/**
 * What JSON Schema 2020-12 has, and of OpenAPI's annotations those that schemas in its documents carry. `definitions` is the old
 * name of `$defs`, which the draft still knows.
 */
const KEYWORDS: ReadonlyMap<string, Keyword> = new Map([
  ...all('annotation', '$schema $id $comment title description default examples deprecated readOnly writeOnly'),
  ...all('annotation', 'contentEncoding contentMediaType contentSchema example externalDocs xml discriminator $anchor $dynamicAnchor'),
  ...all('assertion', 'type enum const multipleOf maximum exclusiveMaximum minimum exclusiveMinimum maxLength minLength pattern format'),
  ...all('assertion', 'maxItems minItems uniqueItems maxContains minContains maxProperties minProperties required dependentRequired'),
  ...all('schema', 'items contains additionalProperties propertyNames unevaluatedItems unevaluatedProperties'),
  ...all('schema', 'not if then else', true),
  ...all('list', 'prefixItems'),
  ...all('list', 'allOf anyOf oneOf', true),
  ...all('map', '$defs definitions properties patternProperties'),
  ...all('map', 'dependentSchemas', true),
  ...all('reference', '$ref $dynamicRef', true),
]);

/** Undefined for what a schema may not say. Names that begin with `x-` are anybody's annotations, as in OpenAPI. */
export const keywordOf = (name: string): Keyword | undefined =>
  KEYWORDS.get(name) ?? (name.startsWith('x-') ? { form: 'annotation' } : undefined);

export type SchemaObject = Readonly<Record<string, unknown>>;

export const isObject = (value: unknown): value is SchemaObject => typeof value === 'object' && value !== null && !Array.isArray(value);
const isSchema = (value: unknown): value is JsonSchema => typeof value === 'boolean' || isObject(value);

/** Where something is in a document. */
export type Place = readonly (string | number)[];

export type Subschema = {
  readonly schema: JsonSchema;
  /** From the schema that it is in. */
  readonly place: Place;
  readonly inPlace: boolean;
};

/** The schemas immediately in one keyword of another. What has not the form of a schema is passed over. */
export const subschemasIn = (keyword: string, value: unknown): readonly Subschema[] => {
  const { form, inPlace = false } = keywordOf(keyword) ?? {};
  const candidates: [Place, unknown][] =
    form === 'schema'
      ? [[[keyword], value]]
      : form === 'list' && Array.isArray(value)
        ? value.map((item, index) => [[keyword, index], item])
        : form === 'map' && isObject(value)
          ? Object.entries(value).map(([name, item]) => [[keyword, name], item])
          : [];
  return candidates.flatMap(([place, schema]) => (isSchema(schema) ? [{ schema, place, inPlace }] : []));
};

/** The schemas immediately in another. */
export const subschemasOf = (schema: JsonSchema): readonly Subschema[] =>
  typeof schema === 'boolean' ? [] : Object.entries(schema).flatMap(([keyword, value]) => subschemasIn(keyword, value));

/** A keyword's value with the schemas immediately in it replaced. */
export const mapSchemasIn = (keyword: string, value: unknown, change: (schema: JsonSchema) => JsonSchema): unknown => {
  const changed = (item: unknown): unknown => (isSchema(item) ? change(item) : item);
  switch (keywordOf(keyword)?.form) {
    case 'schema':
      return changed(value);
    case 'list':
      return Array.isArray(value) ? value.map(changed) : value;
    case 'map':
      return isObject(value) ? Object.fromEntries(Object.entries(value).map(([name, item]) => [name, changed(item)])) : value;
    default:
      return value;
  }
};

/** The steps of a JSON pointer, without its `#`. */
export const stepsOf = (pointer: string): readonly string[] =>
  pointer
    .split('/')
    .slice(1)
    .map((step) => step.replaceAll('~1', '/').replaceAll('~0', '~'));

/** The same schema object may be written in several ways: `#/$defs/a%20b` and `#/$defs/a b` name one place. */
export const decodedFragment = (reference: string): string => {
  try {
    return decodeURIComponent(reference);
  } catch {
    return reference;
  }
};
