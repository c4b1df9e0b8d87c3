import type { ASTNode } from '@marcbachmann/cel-js';
import type { Observe } from './compile.js';
import { toJson } from './json.js';
import { EvaluationFailed, metered } from './meter.js';
import { isList, isMembers, typeName, type Value } from './value.js';

/** A part of an expression as it was evaluated: its value as JSON, or in words what is too large to be shown, or why it failed. */
export type EvaluatedPart = { readonly expression: string } & (
  | { readonly value: unknown }
  | { readonly about: string }
  | { readonly error: string }
);

/** Parts that are shown of one evaluation; characters of each part's text, and of its value's JSON. */
export const MOST_PARTS = 50;
export const SHOWN_CHARACTERS = 256;

/** More than JSON of so many characters can take. */
const STEPS_TO_SHOW = 10 * SHOWN_CHARACTERS;

type Part = { readonly ast: ASTNode } & ({ readonly value: Value } | { readonly failure: EvaluationFailed });

/**
 * What an expression's parts came to while it was evaluated once, in the order in which they were. Left out are literals, the whole, and of a path like
 * `data.a.b` all but the whole path, unless it failed before. What is inside a comprehension has a value for each item, and is not observed.
 */
export class Seen {
  readonly #parts: Part[] = [];
  readonly #whole: ASTNode;
  /** What a longer path goes through. */
  readonly #within = new Set<ASTNode>();
  /** Told of the innermost part only: those around it fail of the same. */
  readonly #failures = new Set<EvaluationFailed>();

  constructor(whole: ASTNode) {
    this.#whole = whole;
  }

  readonly observe: Observe = (ast, run) => {
    if (ast.op === 'value') return run;
    if (ast.op === '.' || ast.op === '[]') this.#within.add(ast.args[0]);
    return (scope) => {
      try {
        const value = run(scope);
        this.#parts.push({ ast, value });
        return value;
      } catch (failure) {
        if (failure instanceof EvaluationFailed && !this.#failures.has(failure)) {
          this.#failures.add(failure);
          this.#parts.push({ ast, failure });
        }
        throw failure;
      }
    };
  };

  get parts(): readonly EvaluatedPart[] {
    return this.#shown.slice(0, MOST_PARTS).map(shownPart);
  }

  /** How many there are beside. */
  get more(): number {
    return Math.max(0, this.#shown.length - MOST_PARTS);
  }

  get #shown(): readonly Part[] {
    return this.#parts.filter((part) => 'failure' in part || (part.ast !== this.#whole && !this.#within.has(part.ast)));
  }
}

const beginning = (text: string): string => (text.length > SHOWN_CHARACTERS ? `${text.slice(0, SHOWN_CHARACTERS)}…` : text);

const shownPart = (part: Part): EvaluatedPart => {
  const { input, range } = part.ast;
  const expression = beginning(input.slice(range.start, range.end));
  return 'failure' in part ? { expression, error: part.failure.message } : { expression, ...shownValue(part.value) };
};

const shownValue = (value: Value): { readonly value: unknown } | { readonly about: string } => {
  try {
    return { value: JSON.parse(metered(STEPS_TO_SHOW, () => toJson(value, SHOWN_CHARACTERS))) as unknown };
  } catch (error) {
    if (error instanceof EvaluationFailed) return { about: inWords(value) };
    throw error;
  }
};

const inWords = (value: Value): string => {
  if (typeof value === 'string') return `a text of ${value.length} characters that begins with ${JSON.stringify(value.slice(0, SHOWN_CHARACTERS / 2))}`;
  if (typeof value === 'number') return String(value);
  if (isList(value)) return `a list of ${value.length}`;
  return isMembers(value) ? `a map of ${Object.keys(value).length}` : `a value of type ${typeName(value)}`;
};
