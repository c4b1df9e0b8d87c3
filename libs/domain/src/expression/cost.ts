import type { ASTNode } from '@marcbachmann/cel-js';
import { COMPARED_AT_ONCE, stepsForNames, stepsForText, stepsToFind, stepsToMatch } from './meter.js';

/**
 * The event that costs are told for. What is longer costs more, which the bound at run time is for; so does an event that lacks what the
 * expression asks for, where `&&`, `||`, `all` or `exists` go on after the failure.
 */
export const REFERENCE = {
  /** Of each list and each object. */
  items: 32,
  /** Of each text; no more than is compared at once. */
  characters: COMPARED_AT_ONCE,
  /** Of a part of the data that is compared or written as a whole. */
  values: 256,
} as const;

/** At most so many steps, by the count of the meter; and, beyond the limit, the innermost part that exceeds it by itself, in all its turns. */
export type Cost = { readonly steps: number; readonly excess?: ASTNode };

export const costOf = (ast: ASTNode, { limit, patternSizes, isWritten }: { limit: number; patternSizes: ReadonlyMap<ASTNode, number>; /** As JSON, in the end. */ isWritten: boolean }): Cost => {
  const estimate = new Estimate(limit, patternSizes);
  const { steps, size } = estimate.node(ast, 1);
  const all = steps + (isWritten ? size.values : 0);
  return all > limit ? { steps: all, excess: estimate.excess ?? ast } : { steps: all };
};

/** How large a value can be. */
type Size = {
  /** Of the longest text that it is or holds. */
  readonly characters: number;
  /** Of a list or map. */
  readonly items: number;
  /** Itself and all that it holds. */
  readonly values: number;
  /** Any of its items or members; absent where there can be none. */
  readonly item?: Size;
};

type Estimated = { readonly steps: number; readonly size: Size };

const SCALAR: Size = { characters: 0, items: 0, values: 1 };

/** What comes from the event: text, list or map, and so are its members. */
const FROM_EVENT: Size = {
  ...REFERENCE,
  get item(): Size {
    return FROM_EVENT;
  },
};

const textOf = (characters: number): Size => ({ characters, items: 0, values: 1 });

/** Numbers, times and the like, as text. */
const SHORT_TEXT = 32;

const eitherOf = (a: Size | undefined, b: Size | undefined): Size | undefined => {
  if (a === undefined || b === undefined || a === b) return a ?? b;
  const item = eitherOf(a.item, b.item);
  return {
    characters: Math.max(a.characters, b.characters),
    items: Math.max(a.items, b.items),
    values: Math.max(a.values, b.values),
    ...(item && { item }),
  };
};

const listOf = (items: number, item: Size): Size => ({ characters: item.characters, items, values: 1 + items * item.values, item });

const holding = (sizes: readonly Size[]): Size => {
  const item = sizes.reduce<Size | undefined>(eitherOf, undefined);
  const values = sizes.reduce((sum, size) => sum + size.values, 1);
  return item === undefined ? { ...SCALAR, values } : { characters: item.characters, items: sizes.length, values, item };
};

const sum = (parts: readonly Estimated[]): number => parts.reduce((steps, part) => steps + part.steps, 0);

const toCompareTexts = (a: Size, b: Size): number => {
  const characters = Math.min(a.characters, b.characters);
  return characters > COMPARED_AT_ONCE ? stepsForText(characters) : 0;
};

/** Of itself, or of the many small ones that it holds. */
const toCountNames = ({ items, values }: Size): number => Math.max(stepsForNames(items), values >> 2);

const toCompare = (a: Size, b: Size): number => {
  const values = Math.min(a.values, b.values);
  return (a.items > 0 && b.items > 0 ? values + toCountNames(a) + toCountNames(b) : 0) + values * toCompareTexts(a, b);
};

/** Each item is compared with it, but no more than there is on either side. */
const toLookFor = (value: Size, collection: Size): number => {
  const { items, values, item = SCALAR } = collection;
  return items + Math.min(items * toCompare(value, item), values * (1 + toCompareTexts(value, collection)) + items * stepsForNames(value.items));
};

const isText = ({ characters, items }: Size): boolean => characters > 0 && items === 0;

/** Numbers are added for nothing; a text goes with a text only; of what comes from the event nothing is known. */
const added = (a: Size, b: Size): Estimated => {
  if (a === SCALAR || b === SCALAR) return { steps: 0, size: SCALAR };
  const characters = a.characters + b.characters;
  const text = { steps: stepsForText(characters), size: textOf(characters) };
  if (isText(a) || isText(b)) return text;
  const items = a.items + b.items;
  const item = eitherOf(a.item, b.item);
  return { steps: Math.max(text.steps, items), size: { characters, items, values: a.values + b.values, ...(item && { item }) } };
};

const joined = ({ items, item = SCALAR }: Size, between: number): Estimated => ({
  steps: items * stepsForText(item.characters + between),
  size: textOf(items * (item.characters + between)),
});

const split = ({ characters }: Size): Estimated => ({ steps: stepsForText(characters) + characters, size: listOf(characters + 1, textOf(characters)) });

/** As many pieces as there are characters, which together are the text once more. */
const replaced = ({ characters }: Size, by: Size): Estimated => {
  const pieces = characters + 1;
  return {
    steps: split(textOf(characters)).steps + pieces * (1 + stepsForText(by.characters)) + stepsForText(characters),
    size: textOf(characters + pieces * by.characters),
  };
};

const read = (size: Size, result = SCALAR): Estimated => ({ steps: stepsForText(size.characters), size: result });

const found = (text: Size, part: Size): Estimated => ({ steps: stepsForText(text.characters) + stepsToFind(text.characters, part.characters), size: SCALAR });

/** What counts characters takes each into its hands where one of them is beyond U+FFFF. */
const counted = (of: Estimated, text: Size): Estimated => ({ ...of, steps: of.steps + text.characters });

type CostOfCall = (first: Size, second: Size) => Estimated;

/** Functions and methods whose cost depends on what they are given, or whose result is more than a scalar. */
const calls: Readonly<Record<string, CostOfCall>> = {
  size: (of) => ({ steps: Math.max(stepsForText(of.characters), of.items), size: SCALAR }),
  string: (of) => ({ steps: 0, size: textOf(Math.max(of.characters, SHORT_TEXT)) }),
  dyn: (of) => ({ steps: 0, size: of }),
  startsWith: (text) => read(text),
  endsWith: (text) => read(text),
  contains: found,
  indexOf: (text, part) => counted(found(text, part), text),
  lowerAscii: (text) => read(text, text),
  upperAscii: (text) => read(text, text),
  trim: (text) => read(text, text),
  substring: (text) => counted(read(text, text), text),
  split,
  join: (list, between) => joined(list, between.characters),
  request: (body, headers) => ({ steps: 0, size: holding([body, headers]) }),
};

class Estimate {
  excess: ASTNode | undefined;
  readonly #limit: number;
  readonly #patternSizes: ReadonlyMap<ASTNode, number>;
  /** Of the variables of the comprehensions around. */
  readonly #variables = new Map<string, Size>();

  constructor(limit: number, patternSizes: ReadonlyMap<ASTNode, number>) {
    this.#limit = limit;
    this.#patternSizes = patternSizes;
  }

  /** @param turns how often it is evaluated, for the comprehensions around it */
  node(ast: ASTNode, turns: number): Estimated {
    const estimated = this.#node(ast, turns);
    if (estimated.steps * turns > this.#limit) this.excess ??= ast;
    return estimated;
  }

  #all(nodes: readonly ASTNode[], turns: number): readonly Estimated[] {
    return nodes.map((each) => this.node(each, turns));
  }

  #node(ast: ASTNode, turns: number): Estimated {
    switch (ast.op) {
      case 'value':
        return { steps: 0, size: typeof ast.args === 'string' ? textOf(ast.args.length) : SCALAR };
      case 'id':
        return { steps: 0, size: this.#variables.get(ast.args) ?? FROM_EVENT };
      case '.': {
        const { steps, size } = this.node(ast.args[0], turns);
        return { steps, size: size.item ?? SCALAR };
      }
      case '[]': {
        const [of, index] = this.#pair(ast.args, turns);
        return { steps: of.steps + index.steps, size: of.size.item ?? SCALAR };
      }
      case 'list': {
        const items = this.#all(ast.args, turns);
        return { steps: sum(items), size: holding(items.map(({ size }) => size)) };
      }
      case 'map': {
        const members = this.#all(ast.args.flat(), turns);
        return { steps: sum(members), size: holding(members.filter((_, index) => index % 2 === 1).map(({ size }) => size)) };
      }
      case '?:': {
        const [condition, ...branches] = ast.args;
        const [yes, no] = this.#pair(branches, turns);
        return { steps: this.node(condition, turns).steps + Math.max(yes.steps, no.steps), size: eitherOf(yes.size, no.size) ?? SCALAR };
      }
      case '!_':
      case '-_':
        return { steps: this.node(ast.args, turns).steps, size: SCALAR };
      case 'call':
        return this.#call(ast, ast.args[0], ast.args[1], turns);
      case 'rcall':
        return this.#method(ast, ast.args[0], [ast.args[1], ...ast.args[2]], turns);
      case '.?':
      case '[?]':
        return { steps: 0, size: SCALAR }; // Refused when compiled.
      default: {
        const [left, right] = this.#pair(ast.args, turns);
        const own = ofOperator(ast.op, left.size, right.size);
        return { steps: left.steps + right.steps + own.steps, size: own.size };
      }
    }
  }

  #pair([left, right]: readonly [ASTNode, ASTNode], turns: number): readonly [Estimated, Estimated] {
    return [this.node(left, turns), this.node(right, turns)];
  }

  #call(ast: ASTNode, name: string, args: readonly ASTNode[], turns: number): Estimated {
    const parts = this.#all(args, turns);
    const [first = SCALAR, second = SCALAR, third = SCALAR] = parts.map(({ size }) => size);
    const own = this.#ofCall(ast, name, first, second, third);
    return { steps: sum(parts) + own.steps, size: own.size };
  }

  #ofCall(ast: ASTNode, name: string, first: Size, second: Size, third: Size): Estimated {
    if (name === 'matches') return { steps: stepsToMatch(first.characters, this.#patternSizes.get(ast) ?? 0), size: SCALAR };
    if (name === 'replace') return replaced(first, third);
    return calls[name]?.(first, second) ?? { steps: 0, size: SCALAR };
  }

  #method(ast: ASTNode, name: string, args: readonly ASTNode[], turns: number): Estimated {
    const [range, variable, ...bodies] = args;
    return range !== undefined && variable?.op === 'id' && bodies.length > 0 && LOOPS.has(name)
      ? this.#comprehension(name, range, variable.args, bodies, turns)
      : this.#call(ast, name, args, turns);
  }

  #comprehension(name: string, range: ASTNode, variable: string, bodies: readonly ASTNode[], turns: number): Estimated {
    const over = this.node(range, turns);
    const { items, item = SCALAR } = over.size;
    const outer = this.#variables.get(variable);
    this.#variables.set(variable, item);
    const each = this.#all(bodies, turns * Math.max(1, items));
    if (outer === undefined) this.#variables.delete(variable);
    else this.#variables.set(variable, outer);
    const stepsEach = 1 + sum(each) + bodies.reduce((nodes, body) => nodes + nodesOf(body), 0);
    // Of a map it is the names that it goes over, which are gathered first.
    const steps = over.steps + items * (1 + stepsEach);
    if (name === 'filter') return { steps, size: over.size };
    return { steps, size: name === 'map' ? listOf(items, each.at(-1)?.size ?? SCALAR) : SCALAR };
  }
}

const LOOPS: ReadonlySet<string> = new Set(['all', 'exists', 'exists_one', 'map', 'filter']);

const ofOperator = (operator: string, left: Size, right: Size): Estimated => {
  switch (operator) {
    case '==':
    case '!=':
      return { steps: toCompare(left, right), size: SCALAR };
    case '<':
    case '<=':
    case '>':
    case '>=':
      return { steps: toCompareTexts(left, right), size: SCALAR };
    case 'in':
      return { steps: toLookFor(left, right), size: SCALAR };
    case '+':
      return added(left, right);
    default:
      return { steps: 0, size: SCALAR };
  }
};

/** At least as many as the compiler counts. */
const nodesOf = (ast: ASTNode): number => {
  let nodes = 0;
  const count = (part: unknown): void => {
    if (Array.isArray(part)) part.forEach(count);
    else if (isNode(part)) {
      nodes += 1;
      count(part.args);
    }
  };
  count(ast);
  return nodes;
};

const isNode = (part: unknown): part is ASTNode => typeof part === 'object' && part !== null && 'op' in part && 'args' in part;
