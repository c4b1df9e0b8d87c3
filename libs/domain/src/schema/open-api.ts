import { EVENT_TYPE_NAME, eventTypeLimits, type JsonSchema } from '@posthorn/contracts';
import { fault, type Fault } from './fault.js';
import { decodedFragment, isObject, keywordOf, mapSchemasIn, stepsOf, type Place, type SchemaObject } from './keywords.js';
import { jsonBytes } from './limits.js';

export type ImportedType = {
  readonly name: string;
  /** Of the schema, and of the example, in the document. */
  readonly place: Place;
  readonly description?: string;
  readonly schema?: JsonSchema;
  readonly example?: unknown;
};

export type ImportedTypes = { readonly types: readonly ImportedType[]; readonly errors: readonly Fault[] };

/**
 * The event types in the `webhooks` of an OpenAPI 3.1 document: the name is the webhook's key, the schema that of the JSON body of
 * its POST. Where the body has the form of Standard Webhooks, an object of a fixed `type` and `data`, the schema is that of `data`: the
 * rest is what Posthorn itself puts around it. Otherwise the whole body is the event's data.
 *
 * `#/components/schemas/…` becomes `#/$defs/…`, with all that is referred to; other references are errors.
 */
export const typesOfOpenApi = (document: SchemaObject): ImportedTypes => {
  const webhooks = document['webhooks'];
  if (!isObject(webhooks)) return { types: [], errors: [fault(['webhooks'], 'must be an object of path items')] };
  const reader = new DocumentReader(document);
  const types = Object.entries(webhooks).flatMap(([name, item]) => reader.typeOf(name, item) ?? []);
  return { types, errors: reader.errors };
};

type Found = { readonly value: SchemaObject; readonly place: Place };

const COMPONENT = /^#\/components\/schemas\/([^/]+)(\/.*)?$/;
const JSON_BODY = /^application\/json\s*(;|$)/i;

class DocumentReader {
  readonly errors: Fault[] = [];
  readonly #document: SchemaObject;
  readonly #components: ReadonlyMap<string, JsonSchema>;
  /** By component: as a definition, what it refers to, and its size, worked out once however many types use it. */
  readonly #definitions = new Map<string, { readonly schema: JsonSchema; readonly refersTo: ReadonlySet<string>; readonly bytes: number }>();

  constructor(document: SchemaObject) {
    this.#document = document;
    const components = document['components'];
    const schemas = isObject(components) ? components['schemas'] : undefined;
    this.#components = new Map(
      Object.entries(isObject(schemas) ? schemas : {}).flatMap(([name, schema]): [string, JsonSchema][] =>
        isObject(schema) || typeof schema === 'boolean' ? [[name, schema]] : [],
      ),
    );
  }

  /** Undefined when it is no event type; the errors say why. */
  typeOf(name: string, item: unknown): ImportedType | undefined {
    const at: Place = ['webhooks', name];
    if (name.length > 256 || !EVENT_TYPE_NAME.test(name)) return this.#refuse(at, 'is not an event type such as invoice.paid');
    const path = this.#object(item, at);
    const post = path && this.#object(path.value['post'], [...path.place, 'post']);
    if (!path || !post) return undefined;
    const description = firstText([post.value['description'], post.value['summary'], path.value['description'], path.value['summary']]);
    const described = { name, ...(description !== undefined && { description }) };
    if (post.value['requestBody'] === undefined) return { ...described, place: post.place };
    const body = this.#object(post.value['requestBody'], [...post.place, 'requestBody']);
    const content = body && this.#object(body.value['content'], [...body.place, 'content']);
    if (!content) return undefined;
    const mediaType = Object.keys(content.value).find((type) => JSON_BODY.test(type));
    if (mediaType === undefined) return this.#refuse(content.place, 'has no application/json');
    const media = this.#object(content.value[mediaType], [...content.place, mediaType]);
    return media && { ...described, ...this.#bodyOf(media) };
  }

  /** Schema and example of a media type. */
  #bodyOf(media: Found): Pick<ImportedType, 'place' | 'schema' | 'example'> {
    const whole = media.value['schema'];
    const place = [...media.place, 'schema'];
    const schema = isObject(whole) ? this.#withoutReference(whole) : whole;
    const data = isObject(schema) ? dataOf(schema) : undefined;
    const example = this.#exampleOf(media) ?? exampleIn(schema);
    const exampleOfData = data !== undefined && isObject(example?.value) && 'data' in example.value ? { value: example.value['data'] } : example;
    const shown = data === undefined ? example : (exampleOfData ?? exampleIn(data));
    const wanted = data ?? schema;
    return {
      place,
      ...((isObject(wanted) || typeof wanted === 'boolean') && { schema: this.#standalone(wanted, place) }),
      ...(shown && { example: shown.value }),
    };
  }

  #exampleOf(media: Found): { readonly value: unknown } | undefined {
    if ('example' in media.value) return { value: media.value['example'] };
    const [first] = isObject(media.value['examples']) ? Object.entries(media.value['examples']) : [];
    if (!first) return undefined;
    const example = this.#object(first[1], [...media.place, 'examples', first[0]]);
    return example && 'value' in example.value ? { value: example.value['value'] } : undefined;
  }

  /** A body that is only a reference is what it refers to: so its parts can be looked at. */
  #withoutReference(schema: SchemaObject): unknown {
    const [, name, rest] = COMPONENT.exec(String(schema['$ref'])) ?? [];
    const others = Object.keys(schema).some((keyword) => keyword !== '$ref' && keywordOf(keyword)?.form !== 'annotation');
    if (name === undefined || rest !== undefined || others) return schema;
    return this.#components.get(decodedFragment(name)) ?? schema;
  }

  /** With everything that it refers to as definitions of its own. */
  #standalone(schema: JsonSchema, place: Place): JsonSchema {
    const refersTo = new Set<string>();
    const itself = this.#localised(schema, place, refersTo);
    const definitions = new Map<string, JsonSchema>();
    let bytes = 0;
    // Grows while it is walked.
    for (const name of refersTo) {
      const definition = this.#definitionOf(name, place);
      if (!definition) continue;
      bytes += definition.bytes;
      if (bytes > eventTypeLimits.schemaBytes) {
        this.#refuse(place, `is larger than ${eventTypeLimits.schemaBytes / 1024} KiB with all that it refers to`);
        return true;
      }
      definitions.set(name, definition.schema);
      for (const further of definition.refersTo) refersTo.add(further);
    }
    if (definitions.size === 0 || typeof itself === 'boolean') return itself;
    const own = isObject(itself['$defs']) ? itself['$defs'] : {};
    return { ...itself, $defs: { ...own, ...Object.fromEntries(definitions) } };
  }

  #definitionOf(name: string, usedAt: Place) {
    const known = this.#definitions.get(name);
    if (known) return known;
    const component = this.#components.get(name);
    if (component === undefined) return this.#refuse(usedAt, `refers to #/components/schemas/${name}, which is not there`);
    const refersTo = new Set<string>();
    const schema = this.#localised(component, ['components', 'schemas', name], refersTo);
    const definition = { schema, refersTo, bytes: jsonBytes(schema) };
    this.#definitions.set(name, definition);
    return definition;
  }

  #localised(schema: JsonSchema, place: Place, refersTo: Set<string>): JsonSchema {
    if (typeof schema === 'boolean') return schema;
    return Object.fromEntries(
      Object.entries(schema).map(([keyword, value]) => {
        if (keywordOf(keyword)?.form === 'reference') return [keyword, this.#reference(String(value), [...place, keyword], refersTo)];
        return [keyword, mapSchemasIn(keyword, value, (inner) => this.#localised(inner, place, refersTo))];
      }),
    );
  }

  #reference(reference: string, place: Place, refersTo: Set<string>): string {
    const [, name, rest = ''] = COMPONENT.exec(reference) ?? [];
    if (name === undefined) {
      this.#refuse(place, `${JSON.stringify(reference)} must be of the form #/components/schemas/name`);
      return reference;
    }
    refersTo.add(decodedFragment(name));
    return `#/$defs/${name}${rest}`;
  }

  /** An object of the document, or what it refers to. */
  #object(value: unknown, place: Place): Found | undefined {
    const seen = new Set<unknown>();
    let found = value;
    while (isObject(found) && typeof found['$ref'] === 'string' && !seen.has(found)) {
      seen.add(found);
      found = this.#at(found['$ref']);
    }
    if (isObject(found) && !seen.has(found)) return { value: found, place };
    return this.#refuse(place, seen.size > 0 ? 'refers to what is not in the document' : 'must be an object');
  }

  #at(reference: string): unknown {
    if (!reference.startsWith('#/')) return undefined;
    return stepsOf(reference).reduce<unknown>((value, step) => (isObject(value) && Object.hasOwn(value, decodedFragment(step)) ? value[decodedFragment(step)] : undefined), this.#document);
  }

  #refuse(place: Place, message: string): undefined {
    this.errors.push(fault(place, message));
    return undefined;
  }
}

/** The schema of `data` in a body of Standard Webhooks' form. */
const dataOf = ({ properties }: SchemaObject): JsonSchema | undefined => {
  if (!isObject(properties) || !isObject(properties['type'])) return undefined;
  const { data, type } = properties;
  if (!('const' in type) && !('enum' in type)) return undefined;
  return isObject(data) || typeof data === 'boolean' ? data : undefined;
};

const exampleIn = (schema: unknown): { readonly value: unknown } | undefined => {
  if (!isObject(schema)) return undefined;
  if ('example' in schema) return { value: schema['example'] };
  return Array.isArray(schema['examples']) && schema['examples'].length > 0 ? { value: schema['examples'][0] as unknown } : undefined;
};

const firstText = (candidates: readonly unknown[]): string | undefined =>
  candidates.find((candidate): candidate is string => typeof candidate === 'string' && candidate !== '');
