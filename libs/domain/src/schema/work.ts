import type { JsonSchema } from '@posthorn/contracts';
import { _, type Ajv2020, type KeywordCxt } from 'ajv/dist/2020.js';
import { isObject, subschemasOf, type SchemaObject } from './keywords.js';

/** Thrown out of generated code; one for all, since nobody looks at its stack. */
export class Exhausted extends Error {
  override readonly name = 'Exhausted';
}
const EXHAUSTED = new Exhausted('too much work');

/** Members that are looked up for one unit. */
const NAMES_PER_UNIT = 2;
/**
 * For one value. A unit takes a tenth of a microsecond or two, so all of them take some tens of milliseconds. An event of 256 KiB
 * against an ordinary schema takes some ten thousand.
 */
const WORK_PER_VALUE = 300_000;
/** Steps of a pattern, a format or a count for one unit of work. */
const STEPS_PER_UNIT = 64;
/** To walk over a member of an object once. */
const UNITS_PER_MEMBER = 2;
/** Characters of a constant that is compared, for one unit. */
const CONSTANT_PER_UNIT = 32;

/**
 * Bounds what one value may cost, whatever the schema: alternatives that refer to each other double with every level of the value,
 * and the one who wrote the schema also writes the events, in a process that others' events go through.
 */
export class Work {
  left = 0;

  begin(): void {
    this.left = WORK_PER_VALUE;
  }

  spend(units: number): void {
    this.left -= units;
    if (this.left < 0) throw EXHAUSTED;
  }

  /** @param steps that each character may take */
  spendOnText(text: string, steps: number): void {
    this.spend(1 + (text.length * steps) / STEPS_PER_UNIT);
  }

  /** @param steps as with text; nothing when it is none */
  spendOnLength(value: unknown, steps: number): void {
    if (typeof value === 'string') this.spendOnText(value, steps);
  }

  /** @param units for each member; nothing when it has none */
  spendOnMembers(value: unknown, units: number): void {
    if (isObject(value)) this.spend(Object.keys(value).length * units);
  }
}

/** The keyword that every schema is given: what judging by it costs. No schema that comes from outside has it. */
export const WORK = 'posthorn:work';

/** What a schema costs by itself: units, units for each member of an object, steps for each character of a text. */
export type Cost = readonly [units: number, perMember: number, perCharacter: number];

const MEMBER_WALKS = ['additionalProperties', 'unevaluatedProperties', 'patternProperties', 'propertyNames', 'minProperties', 'maxProperties'];
const TEXT_WALKS = ['minLength', 'maxLength'];

const countIn = (schema: SchemaObject, keywords: readonly string[]): number => keywords.filter((keyword) => keyword in schema).length;

/** The names that a member is compared with before it counts as not evaluated. */
const evaluatedNames = (schema: JsonSchema): number =>
  typeof schema === 'boolean'
    ? 0
    : subschemasOf(schema).reduce((sum, inner) => sum + (inner.inPlace ? evaluatedNames(inner.schema) : 0), Object.keys(schema['properties'] ?? {}).length);

export const costOf = (schema: SchemaObject): Cost => {
  const named = ['properties', 'required', 'dependentRequired', 'dependentSchemas'].map((keyword) => schema[keyword] ?? {});
  const names = named.reduce<number>((sum, names) => sum + Object.keys(names).length, 0);
  const constant = 'const' in schema ? JSON.stringify(schema['const']).length : 0;
  const compared = 'unevaluatedProperties' in schema ? evaluatedNames(schema) : 0;
  return [
    1 + Math.ceil(names / NAMES_PER_UNIT) + Math.floor(constant / CONSTANT_PER_UNIT),
    countIn(schema, MEMBER_WALKS) * UNITS_PER_MEMBER + Math.ceil(compared / NAMES_PER_UNIT),
    countIn(schema, TEXT_WALKS),
  ];
};

export const addWork = (ajv: Ajv2020, work: Work): void => {
  ajv.addKeyword({
    keyword: WORK,
    schemaType: 'array',
    before: '$ref',
    code: ({ gen, data, schema }: KeywordCxt) => {
      const meter = gen.scopeValue('func', { ref: work });
      const [units, perMember, perCharacter]: Cost = schema; // of `costOf`
      gen.code(_`${meter}.spend(${units})`);
      if (perMember > 0) gen.code(_`${meter}.spendOnMembers(${data}, ${perMember})`);
      if (perCharacter > 0) gen.code(_`${meter}.spendOnLength(${data}, ${perCharacter})`);
    },
  });
};
