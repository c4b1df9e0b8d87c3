import { compile, type Program, type Scope } from './compile.js';
import type { EventInput } from './event-input.js';
import { toJson } from './json.js';
import { EvaluationFailed, metered } from './meter.js';
import { ExpressionRefused, parse, positionAt, type Position } from './source.js';
import { typeName, type Value } from './value.js';

export type Refused = { readonly kind: 'refused'; readonly message: string; readonly position: Position };

/** True, false, or false because it could not be evaluated for this event: a member is missing, types do not go together. */
export type FilterVerdict = { readonly matches: true } | { readonly matches: false; readonly reason?: string };

export type Filter = {
  readonly text: string;
  /** Never throws: what cannot be evaluated does not match. */
  readonly judge: (input: EventInput) => FilterVerdict;
};

export type Transform = {
  readonly text: string;
  /** The result as JSON text. Numbers of the data come out as JavaScript writes them: `1.0` as `1`. */
  readonly render: (input: EventInput) => { readonly kind: 'rendered'; readonly json: string } | { readonly kind: 'failed'; readonly reason: string };
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
  refusable(text, () => {
    const { ast, type } = parse(text);
    if (type !== 'bool' && type !== 'dyn') throw new ExpressionRefused(`A filter is true or false; this is of type ${type}.`, ast.start);
    const program = compile(ast);
    const judge = (input: EventInput): FilterVerdict => {
      try {
        const value = metered(FILTER_STEPS, () => program.run(scopeOf(program, input)));
        if (value === true) return MATCHES;
        return value === false ? DIFFERS : { matches: false, reason: `the result is not a bool but of type ${typeName(value)}` };
      } catch (error) {
        return { matches: false, reason: reasonOf(error) };
      }
    };
    return { kind: 'compiled', filter: { text, judge } };
  });

/** A transform in CEL: an expression over `event` and `data` whose value becomes the request's body, as JSON. */
export const compileTransform = (text: string): { readonly kind: 'compiled'; readonly transform: Transform } | Refused =>
  refusable(text, () => {
    const program = compile(parse(text).ast);
    const render: Transform['render'] = (input) => {
      try {
        return { kind: 'rendered', json: metered(TRANSFORM_STEPS, () => toJson(program.run(scopeOf(program, input)), TRANSFORM_RESULT)) };
      } catch (error) {
        return { kind: 'failed', reason: reasonOf(error) };
      }
    };
    return { kind: 'compiled', transform: { text, render } };
  });

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
    return { kind: 'refused', message: error.message, position: positionAt(text, error.offset) };
  }
};

/** An EvaluationFailed is the expression's; anything else would be a fault of ours. */
const reasonOf = (error: unknown): string => {
  if (error instanceof EvaluationFailed) return error.message;
  throw error;
};
