import { eventTypeLimits, type JsonSchema } from '@posthorn/contracts';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { fault, type Fault } from './fault.js';
import { isObject, keywordOf, subschemasOf, type Place, type SchemaObject } from './keywords.js';
import { isDeeperThan, jsonBytes, schemaLimits } from './limits.js';
import { compilePattern } from './pattern.js';
import { referencesOf, SchemaIndex, type Indexed } from './schema-index.js';

const DRAFT = 'https://json-schema.org/draft/2020-12/schema';
/** More would not be read. */
const FAULTS = 20;

/** What other drafts and OpenAPI 3.0 call what 2020-12 says otherwise. */
const INSTEAD: ReadonlyMap<string, string> = new Map([
  ['id', '$id'],
  ['dependencies', 'dependentRequired or dependentSchemas'],
  ['additionalItems', 'prefixItems and items'],
  ['nullable', 'type: ["…", "null"]'],
  ['$recursiveRef', '$ref'],
]);

/** Judges the form of schemas by the draft's own schema; that schema is the only one it ever compiles. */
const metaSchema = new Ajv2020({ strict: false, validateFormats: false, logger: false });

/** Why a schema is refused; nothing when it can be compiled. `at` is where it is in what was sent. */
export const faultsOfSchema = (schema: JsonSchema, at: Place): readonly Fault[] => {
  if (isDeeperThan(schema, schemaLimits.depth)) return [fault(at, `is nested more than ${schemaLimits.depth} levels deep`)];
  if (jsonBytes(schema) > eventTypeLimits.schemaBytes) return [fault(at, `is larger than ${eventTypeLimits.schemaBytes / 1024} KiB`)];
  const draft = isObject(schema) ? schema['$schema'] : undefined;
  if (draft !== undefined && draft !== DRAFT && draft !== `${DRAFT}#`) return [fault([...at, '$schema'], `must be ${DRAFT}, or absent`)];
  const malformed = faultsOfForm(schema, at);
  if (malformed.length > 0) return malformed;
  const index = new SchemaIndex(schema);
  if (index.entries.length > schemaLimits.subschemas) return [fault(at, `holds more than ${schemaLimits.subschemas} schemas`)];
  const faults = index.entries.flatMap((entry) => faultsOfKeywords(entry, index, at));
  return (faults.length > 0 ? faults : faultsOfCircles(index, at)).slice(0, FAULTS);
};

const faultsOfForm = (schema: JsonSchema, at: Place): readonly Fault[] => {
  if (metaSchema.validateSchema(schema) === true) return [];
  const [first] = metaSchema.errors ?? [];
  return [fault([...at, ...placeOfPointer(schema, first?.instancePath ?? '')], first?.message ?? 'is not a JSON Schema')];
};

/** A pointer does not tell whether `0` is an index or a name; the value that it points into does. */
export const placeOfPointer = (root: unknown, pointer: string): Place => {
  const place: (string | number)[] = [];
  let value = root;
  if (pointer === '') return place;
  for (const written of pointer.slice(1).split('/')) {
    const step = written.replaceAll('~1', '/').replaceAll('~0', '~');
    place.push(Array.isArray(value) ? Number(step) : step);
    value = typeof value === 'object' && value !== null ? (value as SchemaObject)[step] : undefined;
  }
  return place;
};

const faultsOfKeywords = ({ schema, place }: Indexed, index: SchemaIndex, at: Place): readonly Fault[] => {
  if (typeof schema === 'boolean') return [];
  const here = [...at, ...place];
  return [
    ...Object.keys(schema).flatMap((name) => (keywordOf(name) ? [] : [fault([...here, name], unknownKeyword(name))])),
    ...referencesOf(schema).flatMap(({ keyword, reference }) => faultsOfReference(reference, index, [...here, keyword])),
    ...(place.length > 0 ? faultsOfResource(schema, here) : []),
    ...(typeof schema['pattern'] === 'string' ? faultsOfPattern(schema['pattern'], [...here, 'pattern']) : []),
    ...Object.keys(isObject(schema['patternProperties']) ? schema['patternProperties'] : {}).flatMap((pattern) =>
      faultsOfPattern(pattern, [...here, 'patternProperties', pattern]),
    ),
  ];
};

const unknownKeyword = (name: string): string => {
  const instead = INSTEAD.get(name);
  return instead === undefined
    ? 'is not a keyword of JSON Schema 2020-12; an annotation of your own begins with x-'
    : `is not a keyword of JSON Schema 2020-12, which has ${instead}`;
};

const faultsOfReference = (reference: string, index: SchemaIndex, place: Place): readonly Fault[] => {
  if (!reference.startsWith('#')) return [fault(place, 'must be local, as in #/$defs/name: nothing is fetched')];
  return index.target(reference) ? [] : [fault(place, 'names no schema in here')];
};

/** A schema is one resource: a part with an identity or a draft of its own would change what the references in it mean. */
const faultsOfResource = (schema: SchemaObject, here: Place): readonly Fault[] =>
  ['$id', '$schema'].flatMap((name) => (name in schema ? [fault([...here, name], 'is allowed only at the top')] : []));

const faultsOfPattern = (pattern: string, place: Place): readonly Fault[] => {
  try {
    compilePattern(pattern);
    return [];
  } catch (error) {
    return [fault(place, error instanceof SyntaxError ? error.message : String(error))];
  }
};

/** References that come back to where they began without having gone into the value: no value could ever be judged. */
const faultsOfCircles = (index: SchemaIndex, at: Place): readonly Fault[] => {
  const judged = new Map<JsonSchema, 'under way' | 'ends'>();
  const endless = (schema: JsonSchema): boolean => {
    if (typeof schema === 'boolean' || judged.get(schema) === 'ends') return false;
    if (judged.get(schema) === 'under way') return true;
    judged.set(schema, 'under way');
    const inPlace = subschemasOf(schema).filter((inner) => inner.inPlace);
    const targets = referencesOf(schema).flatMap(({ reference }) => index.target(reference) ?? []);
    const found = [...inPlace, ...targets].some((next) => endless(next.schema));
    judged.set(schema, 'ends');
    return found;
  };
  for (const { schema, place } of index.entries) {
    if (endless(schema)) return [fault([...at, ...place], 'refers to itself without going deeper into the data')];
  }
  return [];
};
