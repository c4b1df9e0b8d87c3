import { compile, type Observe, type Program, type Scope } from './compile.js';
import { costOf, REFERENCE } from './cost.js';
import type { EventInput } from './event-input.js';
import { transformFunctions } from './functions.js';
import { headersOf } from './headers.js';
import { toJson } from './json.js';
import { EvaluationFailed, metered, stepsTaken } from './meter.js';
import { Seen, type EvaluatedPart } from './seen.js';
import { ExpressionRefused, parse, positionAt, type Position, type Source } from './source.js';
import { RequestParts, typeName, type Value } from './value.js';

export type Refused = {
  readonly kind: 'refused';
  readonly message: string;
  readonly position: Position;
  /** Steps, when it is these that it is refused for. */
  readonly cost?: number;
};

/** True, false, or false because it could not be evaluated for this event: a member is missing, types do not go together. */
export type FilterVerdict = { readonly matches: true } | { readonly matches: false; readonly reason?: string };

/** Steps that are left for several evaluations together; each takes from it what it takes. At 0 one has wanted more. */
export type StepBudget = { left: number };

/** Of what is compiled, in characters of a text without patterns, each of which takes some hundred bytes: for whoever keeps many. */
type Weighed = { readonly weight: number };

export type Filter = Weighed & {
  readonly text: string;
  /** Never throws: what cannot be evaluated does not match. Without a budget it has one of its own. */
  readonly judge: (input: EventInput, budget?: StepBudget) => FilterVerdict;
};

export type Rendering =
  | {
      readonly kind: 'rendered';
      /** The body. Numbers of the data come out as JavaScript writes them: `1.0` as `1`. */
      readonly json: string;
      /** Of a `request(body, headers)`, under lower-case names. */
      readonly headers?: Readonly<Record<string, string>>;
    }
  | { readonly kind: 'failed'; readonly reason: string };

export type Transform = Weighed & {
  readonly text: string;
  readonly render: (input: EventInput) => Rendering;
};

/** Steps that one evaluation may take: some milliseconds at worst for a filter, which every event waits for. */
export const FILTER_STEPS = 50_000;
export const TRANSFORM_STEPS = 200_000;

/** Characters of the JSON that a transform makes. */
export const TRANSFORM_RESULT = 1024 * 1024;

const MATCHES: FilterVerdict = { matches: true };
const DIFFERS: FilterVerdict = { matches: false };

/** A filter in CEL: an expression over `event` and `data` that is a bool. */
export const compileFilter = (text: string): { readonly kind: 'compiled'; readonly filter: Filter } | Refused =>
  refusable(text, () => ({ kind: 'compiled', filter: filterOf(text, filterProgram(parse(text))) }));

/** A transform in CEL: an expression over `event` and `data` whose value becomes the request's body, as JSON, or is a `request(body, headers)`. */
export const compileTransform = (text: string): { readonly kind: 'compiled'; readonly transform: Transform } | Refused =>
  refusable(text, () => ({ kind: 'compiled', transform: transformOf(text, compile(parse(text).ast, transformFunctions)) }));

/** Compiles a filter for whoever brings it, with its cost: one that would run out of steps on an event of ordinary size is refused. */
export const admitFilter = (text: string): { readonly kind: 'compiled'; readonly filter: Filter; readonly cost: number } | Refused =>
  refusable(text, () => {
    const source = parse(text);
    const program = filterProgram(source);
    return { kind: 'compiled', filter: filterOf(text, program), cost: affordable(source, program, { limit: FILTER_STEPS, isWritten: false }) };
  });

/** As `admitFilter`. */
export const admitTransform = (text: string): { readonly kind: 'compiled'; readonly transform: Transform; readonly cost: number } | Refused =>
  refusable(text, () => {
    const source = parse(text);
    const program = compile(source.ast, transformFunctions);
    return { kind: 'compiled', transform: transformOf(text, program), cost: affordable(source, program, { limit: TRANSFORM_STEPS, isWritten: true }) };
  });

/** How a filter came to its verdict on one event. */
export type ExplainedFilter = {
  readonly kind: 'explained';
  readonly verdict: FilterVerdict;
  /** The first so many, in the order in which they were evaluated; what decided before is why others are missing. */
  readonly parts: readonly EvaluatedPart[];
  /** How many there are beside. */
  readonly more: number;
};

/** Judges an event as `compileFilter`'s filter does, within the same bound, and tells what it saw. */
export const explainFilter = (text: string, input: EventInput): ExplainedFilter | Refused =>
  refusable(text, () => {
    const source = parse(text);
    const seen = new Seen(source.ast);
    const verdict = filterOf(text, filterProgram(source, seen.observe)).judge(input);
    return { kind: 'explained', verdict, parts: seen.parts, more: seen.more };
  });

/** @throws {ExpressionRefused} */
const filterProgram = ({ ast, type }: Source, observe?: Observe): Program => {
  if (type !== 'bool' && type !== 'dyn') throw new ExpressionRefused(`A filter is true or false; this is of type ${type}.`, ast.start);
  return compile(ast, {}, observe);
};

/** An instruction of a pattern takes up to 400 bytes. */
const INSTRUCTION_WEIGHT = 4;
const weightOf = (text: string, { patternSizes }: Program): number =>
  [...patternSizes.values()].reduce((weight, size) => weight + INSTRUCTION_WEIGHT * size, text.length);

const filterOf = (text: string, program: Program): Filter => ({
  text,
  weight: weightOf(text, program),
  judge: (input, budget = { left: FILTER_STEPS }) => {
    const most = Math.min(FILTER_STEPS, budget.left);
    try {
      const value = metered(most, () => program.run(scopeOf(program, input)));
      if (value === true) return MATCHES;
      return value === false ? DIFFERS : { matches: false, reason: `the result is not a bool but of type ${typeName(value)}` };
    } catch (error) {
      return { matches: false, reason: reasonOf(error) };
    } finally {
      // Steps that were refused have not been taken.
      budget.left -= Math.min(most, stepsTaken());
    }
  },
});

const transformOf = (text: string, program: Program): Transform => ({
  text,
  weight: weightOf(text, program),
  render: (input) => {
    try {
      return metered(TRANSFORM_STEPS, () => rendered(program.run(scopeOf(program, input))));
    } catch (error) {
      return { kind: 'failed', reason: reasonOf(error) };
    }
  },
});

const rendered = (value: Value): Rendering =>
  value instanceof RequestParts
    ? { kind: 'rendered', json: toJson(value.body, TRANSFORM_RESULT), headers: headersOf(value.headers) }
    : { kind: 'rendered', json: toJson(value, TRANSFORM_RESULT) };

/** Steps at most, on an event of the reference's size. @throws {ExpressionRefused} when they are more than there will be */
const affordable = ({ ast }: Source, { patternSizes }: Program, { limit, isWritten }: { limit: number; isWritten: boolean }): number => {
  const { steps, excess } = costOf(ast, { limit, patternSizes, isWritten });
  if (excess === undefined) return steps;
  const { items, characters } = REFERENCE;
  throw new ExpressionRefused(
    `This takes too long: up to ${steps} steps, of ${limit}, for an event with lists of ${items} items and texts of ${characters} characters.`,
    excess.start,
    steps,
  );
};

const scopeOf = ({ needsData, slots }: Program, input: EventInput): Scope => {
  const scope: Value[] = [input.event, needsData ? input.data : null];
  while (scope.length < slots) scope.push(null);
  return scope;
};

const refusable = <Compiled>(text: string, compileIt: () => Compiled): Compiled | Refused => {
  try {
    return compileIt();
  } catch (error) {
    if (!(error instanceof ExpressionRefused)) throw error;
    const { message, offset, cost } = error;
    return { kind: 'refused', message, position: positionAt(text, offset), ...(cost !== undefined && { cost }) };
  }
};

/** An EvaluationFailed is the expression's; anything else would be a fault of ours. */
const reasonOf = (error: unknown): string => {
  if (error instanceof EvaluationFailed) return error.message;
  throw error;
};
