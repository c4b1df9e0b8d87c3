import { _, type Ajv2020, type KeywordCxt } from 'ajv/dist/2020.js';
import type { SchemaObject } from './keywords.js';

/** Thrown out of generated code; one for all, since nobody looks at its stack. */
export class Exhausted extends Error {
  override readonly name = 'Exhausted';
}
const EXHAUSTED = new Exhausted('too much work');

/** Members that are looked up for one unit. */
const NAMES_PER_UNIT = 8;
/** For one value. An event of 256 KiB against an ordinary schema takes some ten thousand. */
const WORK_PER_VALUE = 1_000_000;
/** Characters times instructions of a pattern for one unit of work. */
const PATTERN_STEPS_PER_UNIT = 64;

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
    this.spend(1 + (text.length * steps) / PATTERN_STEPS_PER_UNIT);
  }
}

/** The keyword that every schema is given: what judging by it costs. No schema that comes from outside has it. */
export const WORK = 'posthorn:work';

/** Of a schema by itself. */
export const workOf = (schema: SchemaObject): number => {
  const named = ['properties', 'required', 'dependentRequired', 'dependentSchemas'].map((keyword) => schema[keyword] ?? {});
  return 1 + Math.ceil(named.reduce<number>((sum, names) => sum + Object.keys(names).length, 0) / NAMES_PER_UNIT);
};

export const addWork = (ajv: Ajv2020, work: Work): void => {
  ajv.addKeyword({
    keyword: WORK,
    schemaType: 'number',
    before: '$ref',
    code: ({ gen, schema }: KeywordCxt) => {
      const meter = gen.scopeValue('func', { ref: work });
      gen.code(_`${meter}.spend(${schema})`);
    },
  });
};
