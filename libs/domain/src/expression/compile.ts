import type { ASTNode } from '@marcbachmann/cel-js';
import { RE2JS, RE2JSException } from 're2js';
import { functions, methods, type CelFunction } from './functions.js';
import { EvaluationFailed, FAILURE_STEPS, metered, pay, stepsForNames, stepsToMatch } from './meter.js';
import { add, arithmetic, compare, equals, isIn, item, member, negate, noOverload, subtract, type Comparison } from './operators.js';
import { expressionLimits, ExpressionRefused } from './source.js';
import { CelType, isList, isMembers, type Members, type Value } from './value.js';

/** The variables of one evaluation: the two of the event, then those of the comprehensions around, outermost first. */
export type Scope = Value[];
export type Run = (scope: Scope) => Value;

/** What one evaluates to, and whether it asks for `data`. */
export type Program = {
  readonly run: Run;
  readonly needsData: boolean;
  readonly slots: number;
  /** Instructions of the regular expression of each `matches`. */
  readonly patternSizes: ReadonlyMap<ASTNode, number>;
};

type Functions = Readonly<Record<string, CelFunction>>;

/** Told of each part that is evaluated at most once, as it is compiled; may put another in the place of its closure. */
export type Observe = (ast: ASTNode, run: Run) => Run;
const unobserved: Observe = (_, run) => run;

export const EVENT_SLOT = 0;
export const DATA_SLOT = 1;

/** Turns a checked expression into closures. @param further functions besides those that all know @throws {ExpressionRefused} */
export const compile = (ast: ASTNode, further: Functions = {}, observe: Observe = unobserved): Program => {
  const compiler = new Compiler({ ...functions, ...further }, observe);
  const run = compiler.node(ast);
  const { needsData, slots, patternSizes } = compiler;
  return { run, needsData, slots, patternSizes };
};

class Compiler {
  needsData = false;
  slots = 2;
  readonly patternSizes = new Map<ASTNode, number>();
  readonly #functions: Functions;
  readonly #observe: Observe;
  readonly #names: string[] = ['event', 'data'];
  #nodes = 0;
  #depth = 0;
  #patternsSize = 0;

  constructor(known: Functions, observe: Observe) {
    this.#functions = known;
    this.#observe = observe;
  }

  node(ast: ASTNode): Run {
    this.#nodes += 1;
    this.#depth += 1;
    if (this.#depth > expressionLimits.depth) throw new ExpressionRefused(`It is nested deeper than ${expressionLimits.depth}.`, ast.start);
    const run = this.#node(ast);
    this.#depth -= 1;
    return this.#names.length > DATA_SLOT + 1 ? run : this.#observe(ast, run);
  }

  #node(ast: ASTNode): Run {
    switch (ast.op) {
      case 'value': {
        const value = literal(ast.args, ast.start);
        return () => value;
      }
      case 'id':
        return this.#name(ast.args, ast.start);
      case '.': {
        const [of, name] = ast.args;
        const run = this.node(of);
        return (scope) => member(run(scope), name);
      }
      case '[]': {
        const [of, index] = this.#all(ast.args);
        return (scope) => item(of(scope), index(scope));
      }
      case 'list': {
        const items = this.#all(ast.args);
        return items.every((_, index) => ast.args[index]?.op === 'value') ? constantly(items.map((run) => run([]))) : (scope) => items.map((run) => run(scope));
      }
      case 'map':
        return this.#map(ast.args);
      case '?:': {
        const [condition, yes, no] = this.#all(ast.args);
        return (scope) => (truth(condition(scope), '?:') ? yes(scope) : no(scope));
      }
      case '&&':
        return shortCut(false, ...this.#all(ast.args));
      case '||':
        return shortCut(true, ...this.#all(ast.args));
      case '!_': {
        const run = this.node(ast.args);
        return (scope) => !truth(run(scope), '!');
      }
      case '-_': {
        // The parser reads the minus by itself; what stands behind it does not fit without it.
        if (ast.args.op === 'value' && ast.args.args === 2n ** 63n) return constantly(-(2n ** 63n));
        const run = this.node(ast.args);
        return (scope) => negate(run(scope));
      }
      case 'call':
        return this.#call(ast.args[0], ast.args[1], ast);
      case 'rcall':
        return this.#method(ast.args[0], ast.args[1], ast.args[2], ast);
      case '.?':
      case '[?]':
        throw new ExpressionRefused('Optional access is not known here; use has().', ast.start);
      default:
        return this.#binary(ast.op, ...this.#all(ast.args), ast.args[1]);
    }
  }

  /** As many as given: a pair stays a pair. */
  #all<Nodes extends readonly ASTNode[]>(nodes: Nodes): { [I in keyof Nodes]: Run } {
    return nodes.map((each) => this.node(each)) as { [I in keyof Nodes]: Run }; // map keeps the number, which its type does not say.
  }

  #name(name: string, offset: number): Run {
    const slot = this.#names.lastIndexOf(name);
    if (slot === DATA_SLOT) this.needsData = true;
    if (slot >= 0) return (scope) => scope[slot] ?? null;
    const type = CelType.named(name);
    if (type === undefined) throw new ExpressionRefused(`Unknown variable: ${name}.`, offset);
    return () => type;
  }

  #map(entries: readonly (readonly [ASTNode, ASTNode])[]): Run {
    const notText = entries.find(([name]) => name.op === 'value' && typeof name.args !== 'string');
    if (notText !== undefined) throw new ExpressionRefused('The keys of a map are texts here, as in JSON.', notText[0].start);
    const runs = entries.map(([name, value]) => [this.node(name), this.node(value)] as const);
    return (scope) => {
      const members: Record<string, Value> = Object.create(null);
      for (const [name, value] of runs) {
        const key = name(scope);
        if (typeof key !== 'string') return noOverload('a map key', key);
        members[key] = value(scope);
      }
      return members;
    };
  }

  #binary(operator: string, left: Run, right: Run, rightAst: ASTNode): Run {
    const constant = rightAst.op === 'value' ? comparable(literal(rightAst.args, rightAst.start)) : undefined;
    switch (operator) {
      case '==':
        if (typeof constant === 'string' || typeof constant === 'number') return (scope) => equals(left(scope), constant);
        return (scope) => equals(left(scope), right(scope));
      case '!=':
        return (scope) => !equals(left(scope), right(scope));
      case '<':
      case '<=':
      case '>':
      case '>=':
        return comparison(operator, left, typeof constant === 'number' ? constantly(constant) : right);
      case 'in':
        return (scope) => isIn(left(scope), right(scope));
      case '+':
        return (scope) => add(left(scope), right(scope));
      case '-':
        return (scope) => subtract(left(scope), right(scope));
      case '*':
      case '/':
      case '%':
        return (scope) => arithmetic(operator, left(scope), right(scope));
      default:
        throw new ExpressionRefused(`The operator ${operator} is not known here.`, rightAst.start);
    }
  }

  #call(name: string, args: readonly ASTNode[], at: ASTNode): Run {
    const [first, second] = args;
    if (name === 'has' && first !== undefined) {
      if (first.op !== '.') throw new ExpressionRefused('has() asks for a member, as in has(data.total).', first.start);
      const [of, memberName] = first.args;
      const run = this.node(of);
      return (scope) => {
        const value = run(scope);
        return isMembers(value) ? Object.hasOwn(value, memberName) : noOverload(`has(.${memberName})`, value);
      };
    }
    if (name === 'matches' && first && second) return this.#matches(first, second, at);
    return this.#apply(this.#functions[`${name}/${args.length}`], `${name}()`, args, at);
  }

  #method(name: string, receiver: ASTNode, args: readonly ASTNode[], at: ASTNode): Run {
    const [first, second, third] = args;
    if (name === 'matches' && first) return this.#matches(receiver, first, at);
    if (first?.op === 'id' && second !== undefined && COMPREHENSIONS.has(`${name}/${args.length}`)) {
      return this.#comprehension(name, receiver, first.args, third === undefined ? { body: second } : { filter: second, body: third }, at.start);
    }
    return this.#apply(methods[`${name}/${args.length}`], `.${name}()`, [receiver, ...args], at);
  }

  #apply(apply: CelFunction | undefined, name: string, args: readonly ASTNode[], at: ASTNode): Run {
    if (apply === undefined) throw new ExpressionRefused(`There is no function ${name} with these arguments here.`, at.start);
    const [first = NONE, second = NONE, third = NONE] = args.map((arg) => this.node(arg));
    const call: Run = (scope) => apply(first(scope), second(scope), third(scope));
    return args.every(({ op }) => op === 'value') && at.op === 'call' ? constantCall(call, at.start) : call;
  }

  /** The engine takes time linear in text and pattern, whatever the two are; an engine that backtracks may take for ever. */
  #matches(of: ASTNode, pattern: ASTNode, at: ASTNode): Run {
    if (pattern.op !== 'value' || typeof pattern.args !== 'string') {
      throw new ExpressionRefused('The pattern of matches() has to be written out as a text.', pattern.start);
    }
    const regex = regularExpression(pattern.args, pattern.start);
    const size = regex.programSize();
    this.#patternsSize += size;
    if (this.#patternsSize > expressionLimits.patternSize) throw new ExpressionRefused('The patterns repeat too much.', pattern.start);
    this.patternSizes.set(at, size);
    const run = this.node(of);
    return (scope) => {
      const text = run(scope);
      if (typeof text !== 'string') return noOverload('matches', text);
      pay(stepsToMatch(text.length, size));
      return regex.test(text);
    };
  }

  #comprehension(kind: string, range: ASTNode, variable: string, { filter, body }: { filter?: ASTNode; body: ASTNode }, offset: number): Run {
    const rangeRun = this.node(range);
    const slot = this.#names.length;
    if (slot - 2 >= expressionLimits.comprehensions) {
      throw new ExpressionRefused(`More than ${expressionLimits.comprehensions} comprehensions inside of one another.`, offset);
    }
    this.slots = Math.max(this.slots, slot + 1);
    const before = this.#nodes;
    this.#names.push(variable);
    const filterRun = filter && this.node(filter);
    const bodyRun = this.node(body);
    this.#names.pop();
    return comprehension(kind, { range: rangeRun, slot, filter: filterRun, body: bodyRun, stepsEach: this.#nodes - before });
  }
}

const NONE: Run = () => null;
const constantly =
  (value: Value): Run =>
  () =>
    value;

/** Of one call with nothing but literals. */
const CONSTANT_STEPS = 50_000;

/** Such a call is made once; should it fail, it would fail for every event. */
const constantCall = (call: Run, offset: number): Run => {
  try {
    return constantly(metered(CONSTANT_STEPS, () => call([])));
  } catch (error) {
    if (error instanceof EvaluationFailed) throw new ExpressionRefused(`This cannot be evaluated: ${error.message}.`, offset);
    throw error;
  }
};

const literal = (value: unknown, offset: number): Value => {
  if (value === null || typeof value === 'boolean' || typeof value === 'number' || typeof value === 'string') return value;
  if (typeof value !== 'bigint') throw new ExpressionRefused('Bytes and unsigned numbers are not known here: JSON has none.', offset);
  if (value >= 2n ** 63n) throw new ExpressionRefused('The number does not fit into 64 bits.', offset);
  return value;
};

/** Comparing with a double is quicker than with a bigint and, up to 2^53, the same. */
const comparable = (value: Value): Value => (typeof value === 'bigint' && value <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(value) : value);

const truth = (value: Value, operator: string): boolean => (typeof value === 'boolean' ? value : noOverload(operator, value));

/** Numbers, the usual case, are compared here and now. */
const comparison = (operator: Comparison, left: Run, right: Run): Run => {
  switch (operator) {
    case '>':
      return (scope) => {
        const a = left(scope);
        const b = right(scope);
        return typeof a === 'number' && typeof b === 'number' ? a > b : compare('>', a, b);
      };
    case '<':
      return (scope) => {
        const a = left(scope);
        const b = right(scope);
        return typeof a === 'number' && typeof b === 'number' ? a < b : compare('<', a, b);
      };
    default:
      return (scope) => compare(operator, left(scope), right(scope));
  }
};

/**
 * `&&` and `||` do not care for the order of their operands: when one decides, the other may fail (CEL specification, "Logical
 * operators").
 */
const shortCut =
  (decisive: boolean, left: Run, right: Run): Run =>
  (scope) => {
    const operator = decisive ? '||' : '&&';
    let first: boolean;
    try {
      first = truth(left(scope), operator);
    } catch (error) {
      if (!(error instanceof EvaluationFailed)) throw error;
      pay(FAILURE_STEPS);
      if (right(scope) === decisive) return decisive;
      throw error;
    }
    return first === decisive ? first : truth(right(scope), operator);
  };

const regularExpression = (pattern: string, offset: number): RE2JS => {
  if (pattern.length > expressionLimits.pattern) throw new ExpressionRefused(`A pattern has at most ${expressionLimits.pattern} characters.`, offset);
  try {
    return RE2JS.compile(pattern);
  } catch (error) {
    if (error instanceof RE2JSException) throw new ExpressionRefused(`Not a regular expression (RE2): ${error.message}.`, offset);
    throw error;
  }
};

const COMPREHENSIONS: ReadonlySet<string> = new Set(['all/2', 'exists/2', 'exists_one/2', 'map/2', 'map/3', 'filter/2']);

type Comprehension = {
  readonly range: Run;
  readonly slot: number;
  readonly filter: Run | undefined;
  readonly body: Run;
  /** Parts of filter and body: what one turn costs at least. */
  readonly stepsEach: number;
};

const comprehension = (kind: string, { range, slot, filter, body, stepsEach }: Comprehension): Run => {
  /** Calls `turn` for each item until it returns true. */
  const each = (scope: Scope, turn: (item: Value) => boolean): void => {
    const over = range(scope);
    const items = isList(over) ? over : namesOf(over, kind);
    for (const value of items) {
      pay(1 + stepsEach);
      scope[slot] = value;
      if (turn(value)) return;
    }
  };
  switch (kind) {
    case 'all':
      return quantifier(each, body, false);
    case 'exists':
      return quantifier(each, body, true);
    case 'exists_one':
      return (scope) => {
        let count = 0;
        each(scope, () => {
          if (truth(body(scope), kind)) count += 1;
          return false;
        });
        return count === 1;
      };
    case 'filter':
      return (scope) => {
        const kept: Value[] = [];
        each(scope, (value) => {
          if (truth(body(scope), kind)) kept.push(value);
          return false;
        });
        return kept;
      };
    default:
      return (scope) => {
        const mapped: Value[] = [];
        each(scope, () => {
          if (filter === undefined || truth(filter(scope), kind)) mapped.push(body(scope));
          return false;
        });
        return mapped;
      };
  }
};

type Each = (scope: Scope, turn: (item: Value) => boolean) => void;

/** `exists` ends at the first true, `all` at the first false; a turn that fails counts only when no other decides. */
const quantifier =
  (each: Each, body: Run, decisive: boolean): Run =>
  (scope) => {
    let failure: EvaluationFailed | undefined;
    let decided = false;
    each(scope, () => {
      try {
        decided = truth(body(scope), decisive ? 'exists' : 'all') === decisive;
      } catch (error) {
        if (!(error instanceof EvaluationFailed)) throw error;
        pay(FAILURE_STEPS);
        failure ??= error;
      }
      return decided;
    });
    if (!decided && failure !== undefined) throw failure;
    return decided === decisive;
  };

const namesOf = (value: Value, kind: string): readonly string[] => {
  if (!isMembers(value)) return noOverload(kind, value);
  const names = Object.keys(value as Members);
  pay(stepsForNames(names.length));
  return names;
};
