import type { JsonSchema } from '@posthorn/contracts';
import { Ajv2020, type ErrorObject, type ValidateFunction } from 'ajv/dist/2020.js';
import { faultsOfSchema, placeOfPointer } from './check.js';
import { fault, type Fault } from './fault.js';
import { assertedFormats } from './formats.js';
import { keywordOf, mapSchemasIn, type Place } from './keywords.js';
import { compilePattern } from './pattern.js';
import { addLinearKeywords } from './linear-keywords.js';
import { addWork, costOf, Exhausted, WORK, Work } from './work.js';

export type Verdict = { readonly valid: true } | { readonly valid: false; readonly errors: readonly Fault[] };

/**
 * Whether a value fits. Synchronous, and allocates nothing of note for a value that does. Stops at the first fault; more than one is
 * told where several alternatives failed. `at` is where the value is, `data` unless given.
 */
export type Validate = (value: unknown, at?: Place) => Verdict;

export type CompiledSchema =
  | { readonly kind: 'compiled'; readonly validate: Validate }
  | { readonly kind: 'refused'; readonly errors: readonly Fault[] };

const VALID: Verdict = { valid: true };
const DATA: Place = ['data'];
/** Of alternatives that failed. */
const FAULTS = 10;

/**
 * A JSON Schema of draft 2020-12, compiled. Costs a few milliseconds, a schema of the greatest size up to half a second, and some memory of its own: whoever validates often keeps what he got.
 * @param at where the schema is in what was sent, for the paths of what is wrong with it
 */
export const compileSchema = (schema: JsonSchema, at: Place = ['schema']): CompiledSchema => {
  const errors = faultsOfSchema(schema, at);
  if (errors.length > 0) return { kind: 'refused', errors };
  const work = new Work();
  // One for each schema: a shared one would keep something of every schema it ever saw.
  const ajv = new Ajv2020({
    strict: false,
    meta: false,
    validateSchema: false,
    logger: false,
    // `constructor` in a value is a member like any other, and is not there when it is only inherited.
    ownProperties: true,
    // Inlined, a definition that is named a thousand times would be compiled a thousand times.
    inlineRefs: false,
    formats: assertedFormats(work),
    // Optimising the code takes time that grows with its square, up to seconds, and V8 optimises it again.
    code: { optimize: false, regExp: Object.assign(meteredPatterns(work), { code: 'pattern' }) },
  });
  addLinearKeywords(ajv, work);
  addWork(ajv, work);
  work.begin();
  const check = compiled(ajv, prepared(schema));
  if (typeof check === 'string') return { kind: 'refused', errors: [fault(at, check)] };
  const validate: Validate = (value, place = DATA) => {
    work.begin();
    try {
      if (check(value)) return VALID;
    } catch (error) {
      // The stack ends where a value and a schema that go round and round together are deeper than it.
      if (!(error instanceof Exhausted || error instanceof RangeError)) throw error;
      return { valid: false, errors: [fault(place, 'takes too much work to validate against this schema')] };
    }
    return { valid: false, errors: faultsOfValue(check.errors ?? [], value, place) };
  };
  return { kind: 'compiled', validate };
};

/** The validator, or why there is none: an anchor given twice, say. */
const compiled = (ajv: Ajv2020, schema: JsonSchema): ValidateFunction | string => {
  try {
    return ajv.compile(schema);
  } catch (error) {
    return `cannot be compiled: ${error instanceof Error ? error.message : String(error)}`;
  }
};

const meteredPatterns = (work: Work) => (source: string) => {
  const pattern = compilePattern(source);
  return {
    test: (text: string): boolean => {
      work.spendOnText(text, pattern.stepsPerCharacter);
      return pattern.test(text);
    },
    // What tells one pattern from another in the generated code.
    toString: () => source,
  };
};

/** As ajv gets it: without annotations, each schema with what it costs, and `$dynamicRef` as the plain reference that it is here. */
const prepared = (schema: JsonSchema): JsonSchema => {
  if (typeof schema === 'boolean') return schema;
  const members = Object.entries(schema).flatMap(([name, value]): [string, unknown][] => {
    if (name === '$anchor' || name === '$dynamicAnchor') return [['$anchor', value]];
    if (name === '$dynamicRef' || keywordOf(name)?.form === 'annotation') return [];
    return [[name, mapSchemasIn(name, value, prepared)]];
  });
  const whole: Record<string, unknown> = { [WORK]: costOf(schema), ...Object.fromEntries(members) };
  if ('$dynamicRef' in schema) {
    // At the end: what points into the list finds everything where it was.
    whole['allOf'] = [...(Array.isArray(whole['allOf']) ? whole['allOf'] : []), { $ref: schema['$dynamicRef'] }];
  }
  return whole;
};

const faultsOfValue = (errors: readonly ErrorObject[], value: unknown, at: Place): readonly Fault[] => {
  const faults = new Map<string, Fault>();
  for (const { instancePath, keyword, params, message } of errors) {
    const place = [...at, ...placeOfPointer(value, instancePath)];
    const found = told(place, keyword, params, message ?? 'does not fit the schema');
    // Of what is said about one place, what is most inside comes first.
    if (!faults.has(found.path)) faults.set(found.path, found);
    if (faults.size === FAULTS) break;
  }
  return [...faults.values()];
};

const told = (place: Place, keyword: string, params: ErrorObject['params'], message: string): Fault => {
  const member: unknown = params['missingProperty'] ?? params['additionalProperty'] ?? params['unevaluatedProperty'];
  if (typeof member === 'string') {
    return fault([...place, member], keyword === 'required' || keyword === 'dependentRequired' ? 'is missing' : 'is not allowed by the schema');
  }
  if (keyword === 'false schema') return fault(place, 'is not allowed by the schema');
  if (keyword === 'enum') return fault(place, 'must be one of the values that the schema lists');
  if (keyword === 'uniqueItems') return fault(place, 'must not hold an item twice');
  return fault(place, message);
};
