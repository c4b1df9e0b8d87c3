import type { Ajv2020 } from 'ajv/dist/2020.js';
import type { Work } from './work.js';

/** Replaces the two keywords whose work in ajv grows with the product of two sizes: by sets, it grows with their sum. */
export const addLinearKeywords = (ajv: Ajv2020, work: Work): void => {
  ajv.removeKeyword('uniqueItems').addKeyword({
    keyword: 'uniqueItems',
    type: 'array',
    schemaType: 'boolean',
    compile: (unique: boolean) => (items: readonly unknown[]) => !unique || areUnique(items, work),
  });
  ajv.removeKeyword('enum').addKeyword({
    keyword: 'enum',
    schemaType: 'array',
    compile: (values: readonly unknown[]) => {
      const listed = new Values(work);
      for (const value of values) listed.add(value);
      return (value: unknown) => listed.has(value);
    },
  });
};

const areUnique = (items: readonly unknown[], work: Work): boolean => {
  const seen = new Values(work);
  for (const item of items) seen.add(item);
  return seen.size === items.length;
};

/** Units for each value that is written. */
const WRITING = 4;

/** A set of JSON values, equal ones counted once. */
class Values {
  readonly #plain = new Set<unknown>();
  readonly #composed = new Set<string>();
  readonly #work: Work;

  constructor(work: Work) {
    this.#work = work;
  }

  get size(): number {
    return this.#plain.size + this.#composed.size;
  }

  add(value: unknown): void {
    if (isComposed(value)) {
      this.#composed.add(this.#textOf(value));
    } else {
      this.#work.spend(1);
      this.#plain.add(value);
    }
  }

  has(value: unknown): boolean {
    return isComposed(value) ? this.#composed.size > 0 && this.#composed.has(this.#textOf(value)) : this.#plain.has(value);
  }

  #textOf(value: object): string {
    return JSON.stringify(this.#inOrder(value));
  }

  /** Members sorted by name, and told apart from a list of the same. */
  #inOrder(value: unknown): unknown {
    this.#work.spend(WRITING);
    if (!isComposed(value)) return value;
    if (Array.isArray(value)) return value.map((item) => this.#inOrder(item));
    const members = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
    return { members: members.map(([name, member]) => [name, this.#inOrder(member)]) };
  }
}

const isComposed = (value: unknown): value is object => typeof value === 'object' && value !== null;
