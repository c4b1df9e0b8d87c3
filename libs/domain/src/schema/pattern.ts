import { RE2JS } from 're2js';
import { schemaLimits } from './limits.js';

export type Pattern = { readonly test: (text: string) => boolean; readonly size: number };

/**
 * A regular expression with RE2's semantics: no text makes it slower than in proportion to the text's length. What only a
 * backtracking engine can do (lookahead, lookbehind, backreferences) is refused. JavaScript's ways of writing the rest are taken.
 * @throws {SyntaxError} with the reason
 */
export const compilePattern = (source: string): Pattern => {
  if (source.length > schemaLimits.patternLength) throw new SyntaxError(`has more than ${schemaLimits.patternLength} characters`);
  const expression = compiled(source);
  const size = expression.programSize();
  if (size > schemaLimits.patternProgram) throw new SyntaxError('is too large: its repetitions come to too many steps');
  return { test: (text) => expression.test(text), size };
};

const compiled = (source: string): RE2JS => {
  try {
    return RE2JS.compile(RE2JS.translateRegExp(source));
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message.replace('error parsing regexp: ', '') : String(cause);
    throw new SyntaxError(`is not a regular expression that RE2 takes: ${reason}`, { cause });
  }
};
