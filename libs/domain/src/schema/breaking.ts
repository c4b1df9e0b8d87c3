import { isDeepStrictEqual } from 'node:util';
import type { JsonSchema } from '@posthorn/contracts';
import { fault, type Fault } from './fault.js';
import { isObject, keywordOf, type Place, type SchemaObject } from './keywords.js';
import { SchemaIndex } from './schema-index.js';

/** More would not be read. */
const REASONS = 50;

/**
 * Why a schema breaks with the one before it: an event that was valid may now be refused (breaks producers), or something that holds
 * for every event so far may hold no longer (breaks subscribers). Nothing: it does not break.
 *
 * - Annotations say nothing to a validator; they never break. Nor does what is in `$defs`, until it is referred to.
 * - A property may be added, also where there was room for any, unless it is required: subscribers are to ignore what they do not
 *   know. So closing `additionalProperties` breaks, and opening it does not.
 * - Bounds, `type`, `enum`, `required` and the like break whichever way they move.
 * - `$ref` stands for what it refers to. `allOf` is compared part by part.
 * - In what remains (`anyOf`, `oneOf`, `not`, `if`, `contains`, `patternProperties`, …) any change counts as breaking: which way it
 *   works cannot be told.
 * - No schema is the schema that allows everything.
 *
 * Both schemas have been compiled once.
 */
export const breakingChanges = (before: JsonSchema | undefined, after: JsonSchema | undefined, at: Place = ['schema']): readonly Fault[] =>
  new Comparison(before ?? true, after ?? true, at).reasons();

/** A schema, and where it is in the whole. */
type Part = { readonly schema: SchemaObject; readonly place: Place };

const refuses = (what: string): string => `${what}: events that were valid may be refused`;
const loses = (what: string): string => `${what}: what subscribers rely on may no longer hold`;
const cannotTell = (what: string): string => `${what} changed: whether that breaks cannot be told`;

const written = (value: unknown): string => {
  const text = JSON.stringify(value);
  return text.length > 60 ? `${text.slice(0, 60)}…` : text;
};

const UPPER_BOUNDS = ['maximum', 'exclusiveMaximum', 'maxLength', 'maxItems', 'maxProperties', 'maxContains'];
const LOWER_BOUNDS = ['minimum', 'exclusiveMinimum', 'minLength', 'minItems', 'minProperties', 'minContains'];
/** Applied to every part of the value that they are about: they break as what they apply breaks. */
const EACH = ['items', 'propertyNames'];
const COMPARED = new Set([
  ...UPPER_BOUNDS.concat(LOWER_BOUNDS, EACH),
  ...'type enum const required properties additionalProperties uniqueItems dependentRequired allOf $ref $dynamicRef'.split(' '),
]);

class Comparison {
  readonly #before: SchemaIndex;
  readonly #after: SchemaIndex;
  readonly #at: Place;
  readonly #found: Fault[] = [];
  /** Pairs of schemas that are compared, or have been: recursive ones end here. */
  readonly #compared = new Pairs();
  readonly #assumedSame = new Pairs();

  constructor(before: JsonSchema, after: JsonSchema, at: Place) {
    this.#before = new SchemaIndex(before);
    this.#after = new SchemaIndex(after);
    this.#at = at;
  }

  reasons(): readonly Fault[] {
    const [before] = this.#before.entries;
    const [after] = this.#after.entries;
    if (before && after) this.#compare(before.schema, after.schema, []);
    return this.#found.slice(0, REASONS);
  }

  #add(place: Place, message: string): void {
    this.#found.push(fault([...this.#at, ...place], message));
  }

  #compare(before: JsonSchema, after: JsonSchema, place: Place): void {
    if (this.#found.length >= REASONS || before === false) return;
    if (after === false) return this.#add(place, refuses('nothing is allowed any more'));
    // Where both refer, the references are compared, and their neighbours.
    const both = refers(before) && refers(after);
    const old = both ? { schema: asObject(before), place } : plain(before, this.#before, place);
    const now = both ? { schema: asObject(after), place } : plain(after, this.#after, place);
    if (!this.#compared.addIfNew(old.schema, now.schema)) return;
    this.#compareTypes(old.schema, now);
    this.#compareValues(old.schema, now);
    this.#compareBounds(old.schema, now);
    this.#compareRequired(old.schema, now);
    this.#compareDependentRequired(old.schema, now);
    this.#compareProperties(old.schema, now);
    for (const keyword of EACH) this.#compareApplied(keyword, old.schema, now);
    this.#compareAllOf(old.schema, now);
    this.#compareReferences(old.schema, now);
    this.#compareOthers(old.schema, now);
  }

  #compareTypes(before: SchemaObject, { schema, place }: Part): void {
    const types = typesOf(before['type']);
    const nowTypes = typesOf(schema['type']);
    const lost = types.filter((type) => !nowTypes.includes(type));
    const won = nowTypes.filter((type) => !types.includes(type));
    if (lost.length > 0) this.#add([...place, 'type'], refuses(`no longer takes ${lost.join(', ')}`));
    if (won.length > 0) this.#add([...place, 'type'], loses(`now also takes ${won.join(', ')}`));
  }

  #compareValues(before: SchemaObject, { schema, place }: Part): void {
    const values = valuesOf(before);
    const nowValues = valuesOf(schema);
    const here = [...place, 'const' in schema || (!('enum' in schema) && 'const' in before) ? 'const' : 'enum'];
    if (values === undefined && nowValues === undefined) return;
    if (values === undefined) return this.#add(here, refuses('only some values are allowed now'));
    if (nowValues === undefined) return this.#add(here, loses('any value is allowed now'));
    const lost = without(values, nowValues);
    const won = without(nowValues, values);
    if (lost.length > 0) this.#add(here, refuses(`no longer takes ${lost.map(written).join(', ')}`));
    if (won.length > 0) this.#add(here, loses(`now also takes ${won.map(written).join(', ')}`));
  }

  #compareBounds(before: SchemaObject, { schema, place }: Part): void {
    const compare = (keyword: string, direction: 1 | -1): void => {
      const limit = (value: unknown): number => (typeof value === 'number' ? value * direction : Number.POSITIVE_INFINITY);
      const [old, now] = [limit(before[keyword]), limit(schema[keyword])];
      const change = `was ${before[keyword] === undefined ? 'absent' : written(before[keyword])}`;
      if (now < old) this.#add([...place, keyword], refuses(change));
      if (now > old) this.#add([...place, keyword], loses(change));
    };
    for (const keyword of UPPER_BOUNDS) compare(keyword, 1);
    for (const keyword of LOWER_BOUNDS) compare(keyword, -1);
    if (schema['uniqueItems'] === true && before['uniqueItems'] !== true) this.#add([...place, 'uniqueItems'], refuses('was not so'));
    if (schema['uniqueItems'] !== true && before['uniqueItems'] === true) this.#add([...place, 'uniqueItems'], loses('was so'));
  }

  #compareRequired(before: SchemaObject, { schema, place }: Part): void {
    const names = namesIn(before['required']);
    const nowNames = namesIn(schema['required']);
    for (const name of nowNames) if (!names.includes(name)) this.#add([...place, 'required'], refuses(`${name} is required now`));
    for (const name of names) if (!nowNames.includes(name)) this.#add([...place, 'required'], loses(`${name} is no longer required`));
  }

  #compareDependentRequired(before: SchemaObject, { schema, place }: Part): void {
    const old = mapIn(before['dependentRequired']);
    const now = mapIn(schema['dependentRequired']);
    for (const name of new Set([...old.keys(), ...now.keys()])) {
      const here = { schema: { required: now.get(name) }, place: [...place, 'dependentRequired', name] };
      this.#compareRequired({ required: old.get(name) }, here);
    }
  }

  #compareProperties(before: SchemaObject, { schema, place }: Part): void {
    const old = mapIn(before['properties']);
    const now = mapIn(schema['properties']);
    for (const [name, property] of old) {
      const here = [...place, 'properties', name];
      if (now.has(name)) this.#compare(asSchema(property), asSchema(now.get(name)), here);
      else this.#add(here, loses('is gone'));
    }
    // What is listed now was among the additional ones before.
    for (const [name, property] of now) {
      if (!old.has(name) && isObject(before['additionalProperties'])) {
        this.#compare(before['additionalProperties'], asSchema(property), [...place, 'properties', name]);
      }
    }
    this.#compareAdditional(before, { schema, place });
  }

  /** Open to closed breaks, closed to open is like adding properties. */
  #compareAdditional(before: SchemaObject, { schema, place }: Part): void {
    if (before['patternProperties'] === undefined && schema['patternProperties'] === undefined) {
      return this.#compare(asSchema(before['additionalProperties']), asSchema(schema['additionalProperties']), [...place, 'additionalProperties']);
    }
    this.#requireSame('additionalProperties', before, { schema, place });
  }

  #compareApplied(keyword: string, before: SchemaObject, { schema, place }: Part): void {
    if (before[keyword] === undefined && schema[keyword] === undefined) return;
    this.#compare(asSchema(before[keyword]), asSchema(schema[keyword]), [...place, keyword]);
  }

  #compareAllOf(before: SchemaObject, { schema, place }: Part): void {
    const old = listIn(before['allOf']);
    const now = listIn(schema['allOf']);
    if (old.length !== now.length) return this.#add([...place, 'allOf'], cannotTell('the number of its parts'));
    for (const [index, part] of now.entries()) this.#compare(asSchema(old[index]), asSchema(part), [...place, 'allOf', index]);
  }

  #compareReferences(before: SchemaObject, { schema, place }: Part): void {
    for (const keyword of ['$ref', '$dynamicRef']) {
      const old = targetOf(before[keyword], this.#before);
      const now = targetOf(schema[keyword], this.#after);
      if (old && now) this.#compare(old.schema, now.schema, now.place);
      else if (old ?? now) this.#add([...place, keyword], cannotTell('the reference'));
    }
  }

  #compareOthers(before: SchemaObject, part: Part): void {
    for (const keyword of new Set([...Object.keys(before), ...Object.keys(part.schema)])) {
      if (!COMPARED.has(keyword)) this.#requireSame(keyword, before, part);
    }
  }

  #requireSame(keyword: string, before: SchemaObject, { schema, place }: Part): void {
    if (isSilent(keyword) || this.#areSameValues(keyword, before[keyword], schema[keyword])) return;
    this.#add([...place, keyword], cannotTell(`was ${before[keyword] === undefined ? 'absent' : written(before[keyword])} and`));
  }

  /** The same but for annotations, and for where in `$defs` things are. */
  #areSame(before: unknown, after: unknown): boolean {
    if (!isObject(before) || !isObject(after)) return isDeepStrictEqual(before, after);
    if (!this.#assumedSame.addIfNew(before, after)) return true;
    const keywords = new Set([...Object.keys(before), ...Object.keys(after)]);
    return [...keywords].every((keyword) => isSilent(keyword) || this.#areSameValues(keyword, before[keyword], after[keyword]));
  }

  #areSameValues(keyword: string, before: unknown, after: unknown): boolean {
    switch (keywordOf(keyword)?.form) {
      case 'reference': {
        const old = targetOf(before, this.#before);
        const now = targetOf(after, this.#after);
        return old !== undefined && now !== undefined && this.#areSame(old.schema, now.schema);
      }
      case 'schema':
        return this.#areSame(before, after);
      case 'list':
        return areAlike(listIn(before).entries(), listIn(after).entries(), (old, now) => this.#areSame(old, now));
      case 'map':
        return areAlike(mapIn(before), mapIn(after), (old, now) => this.#areSame(old, now));
      default:
        return isDeepStrictEqual(before, after);
    }
  }
}

/** Remembers pairs of objects. */
class Pairs {
  readonly #seen = new WeakMap<object, WeakSet<object>>();

  /** False when the pair has been seen. */
  addIfNew(a: object, b: object): boolean {
    const partners = this.#seen.get(a) ?? new WeakSet();
    this.#seen.set(a, partners);
    if (partners.has(b)) return false;
    partners.add(b);
    return true;
  }
}

const areAlike = <Key>(a: Iterable<[Key, unknown]>, b: Iterable<[Key, unknown]>, same: (x: unknown, y: unknown) => boolean): boolean => {
  const [old, now] = [new Map(a), new Map(b)];
  return old.size === now.size && [...old].every(([key, value]) => now.has(key) && same(value, now.get(key)));
};

/** What a validator does not heed where it stands: annotations, and definitions, which count where they are referred to. */
const isSilent = (keyword: string): boolean =>
  keyword === '$defs' || keyword === 'definitions' || keywordOf(keyword)?.form === 'annotation';

const EVERYTHING: SchemaObject = {};
const asObject = (schema: JsonSchema): SchemaObject => (typeof schema === 'boolean' ? (schema ? EVERYTHING : { not: EVERYTHING }) : schema);

/** A schema that only refers stands for what it refers to; no more steps than there are schemas, for nothing goes in circles. */
const plain = (schema: JsonSchema, index: SchemaIndex, place: Place): Part => {
  const only = typeof schema === 'boolean' ? [] : Object.keys(schema).filter((keyword) => !isSilent(keyword));
  const [keyword] = only;
  const target = only.length === 1 && keyword !== undefined && isObject(schema) ? targetOf(schema[keyword], index, keyword) : undefined;
  return target ? plain(target.schema, index, target.place) : { schema: asObject(schema), place };
};

const refers = (schema: JsonSchema): boolean => isObject(schema) && ('$ref' in schema || '$dynamicRef' in schema);

const targetOf = (reference: unknown, index: SchemaIndex, keyword = '$ref') =>
  keywordOf(keyword)?.form === 'reference' && typeof reference === 'string' ? index.target(reference) : undefined;

const asSchema = (value: unknown): JsonSchema => (typeof value === 'boolean' || isObject(value) ? value : true);
const listIn = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value : []);
const mapIn = (value: unknown): ReadonlyMap<string, unknown> => new Map(isObject(value) ? Object.entries(value) : []);
const namesIn = (value: unknown): readonly string[] => listIn(value).map(String);
const without = (values: readonly unknown[], others: readonly unknown[]): readonly unknown[] =>
  values.filter((value) => !others.some((other) => isDeepStrictEqual(value, other)));

const TYPES = ['array', 'boolean', 'integer', 'null', 'number', 'object', 'string'];
/** Every integer is a number. */
const typesOf = (type: unknown): readonly string[] => {
  const named = type === undefined ? TYPES : Array.isArray(type) ? type.map(String) : [String(type)];
  return named.includes('number') ? [...new Set([...named, 'integer'])] : named;
};

const valuesOf = (schema: SchemaObject): readonly unknown[] | undefined => {
  if ('const' in schema) return [schema['const']];
  return Array.isArray(schema['enum']) ? schema['enum'] : undefined;
};
