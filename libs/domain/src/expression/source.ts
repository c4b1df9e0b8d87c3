import { Environment, ParseError, TypeError as CelTypeError, type ASTNode } from '@marcbachmann/cel-js';

/** Where in an expression: `offset` in UTF-16 units from 0, `line` and `column` from 1. */
export type Position = { readonly offset: number; readonly line: number; readonly column: number };

/** An expression that is not taken, with the place that is to blame. */
export class ExpressionRefused extends Error {
  override readonly name = 'ExpressionRefused';

  constructor(
    message: string,
    readonly offset: number,
    /** Steps, when it is these that it is refused for. */
    readonly cost?: number,
  ) {
    super(message);
  }
}

export const positionAt = (text: string, offset: number): Position => {
  const before = text.slice(0, offset);
  return { offset, line: before.split('\n').length, column: offset - before.lastIndexOf('\n') };
};

export const expressionLimits = {
  /** Parts of an expression: operands, operators, calls. */
  nodes: 4096,
  /** How deep they may be nested; a row of `&&` counts too. */
  depth: 256,
  /** Of one list or map written out. */
  elements: 1000,
  /** Comprehensions inside of one another. */
  comprehensions: 3,
  /** Characters of a regular expression. */
  pattern: 256,
  /** Instructions that all regular expressions of an expression compile to; a hundred characters may become a thousand. */
  patternSize: 2000,
} as const;

/**
 * What CEL's checker is told. It finds what cannot be right whatever the event is: an attribute that there is none of, `event.id > 3`, a
 * call with the wrong arguments. What depends on the data is known when there is an event.
 */
const checker = new Environment({
  homogeneousAggregateLiterals: false,
  limits: {
    maxAstNodes: expressionLimits.nodes,
    maxDepth: expressionLimits.depth,
    maxListElements: expressionLimits.elements,
    maxMapEntries: expressionLimits.elements,
  },
})
  .registerVariable('data', 'dyn')
  .registerVariable({
    name: 'event',
    schema: {
      id: 'string',
      tenant: 'string',
      type: 'string',
      source: 'string',
      time: 'google.protobuf.Timestamp',
      subject: 'string',
      key: 'string',
      content_type: 'string',
      headers: 'map<string, string>',
      context: 'dyn',
    },
  });

/** Only checked, never called: evaluation is ours. */
const declared = (): never => {
  throw new Error('declared for the checker only');
};
for (const signature of [
  'matches(string, string): bool',
  'string.replace(string, string): string',
  'int(google.protobuf.Timestamp): int',
  'string(google.protobuf.Timestamp): string',
  'string(google.protobuf.Duration): string',
  'timestamp(google.protobuf.Timestamp): google.protobuf.Timestamp',
  'duration(google.protobuf.Duration): google.protobuf.Duration',
  'request(dyn, map<string, dyn>): dyn',
]) {
  checker.registerFunction(signature, declared);
}
for (const operator of ['+', '-', '*', '/']) {
  checker.registerOperator(`int ${operator} double: double`, declared).registerOperator(`double ${operator} int: double`, declared);
}

export type Source = { readonly ast: ASTNode; /** Of the result; `dyn` when it depends on the event. */ readonly type: string };

/** @throws {ExpressionRefused} */
export const parse = (text: string): Source => {
  try {
    const parsed = checker.parse(text);
    return { ast: parsed.ast, type: typeOf(parsed) };
  } catch (error) {
    if (error instanceof ParseError || error instanceof CelTypeError) throw new ExpressionRefused(sentence(error.summary), error.range?.start ?? 0);
    // Signs and parentheses nested by the thousand: the parser's own recursion ends before its limit does.
    if (error instanceof RangeError) throw new ExpressionRefused('It is nested too deeply.', 0);
    throw error;
  }
};

type Parsed = ReturnType<Environment['parse']>;

/**
 * Two things that CEL allows are beyond the checker: `has()` of a member whose owner is more than a row of members, as in
 * `has(data.items[0].sku)`, and a comprehension over a list that it knows to be empty. Such an expression goes unchecked: what is wrong in it is found
 * when it is compiled, or evaluated.
 */
const typeOf = (parsed: Parsed): string => {
  try {
    const { error, type } = parsed.check();
    if (error === undefined) return type ?? 'dyn';
    if (error.code === 'invalid_macro_argument') return 'dyn';
    throw error;
  } catch (error) {
    if (error instanceof CelTypeError || error instanceof ParseError || error instanceof RangeError) throw error;
    return 'dyn';
  }
};

const sentence = (text: string): string => `${text.charAt(0).toUpperCase()}${text.slice(1)}${/[.!?]$/.test(text) ? '' : '.'}`;
