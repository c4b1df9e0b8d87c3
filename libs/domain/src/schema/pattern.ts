import { RE2JS } from 're2js';
import { schemaLimits } from './limits.js';

export type Pattern = {
  readonly test: (text: string) => boolean;
  /** That each character of a text may take at most. */
  readonly stepsPerCharacter: number;
};

/** Of a program so small that the sets of places it can be in at once are few: RE2's automaton soon has them all. */
const SMALL_PROGRAM = 16;
/** A look into a table. */
const STEPS_OF_AUTOMATON = 12;
/** For each instruction, when there are too many sets of places for an automaton (`.*a.{30}`): RE2 then follows all places at once, slowly. */
const STEPS_OF_INSTRUCTION = 40;

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
  // One pass: it is in one place at a time. Most patterns that say what a whole text is like are of that kind.
  const isPlain = size <= SMALL_PROGRAM || expression.re2Input.onepass !== null;
  return { test: (text) => expression.test(text), stepsPerCharacter: isPlain ? STEPS_OF_AUTOMATON : STEPS_OF_INSTRUCTION * size };
};

const compiled = (source: string): RE2JS => {
  try {
    return RE2JS.compile(RE2JS.translateRegExp(source));
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message.replace('error parsing regexp: ', '') : String(cause);
    throw new SyntaxError(`is not a regular expression that RE2 takes: ${reason}`, { cause });
  }
};
