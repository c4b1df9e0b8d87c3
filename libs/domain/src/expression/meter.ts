/** An expression that cannot be evaluated for this event: a member that is missing, types that do not go together, too many steps. */
export class EvaluationFailed extends Error {
  override readonly name = 'EvaluationFailed';
}

let limit = 0;
let left = 0;

/**
 * Evaluates with at most so many steps; a step is some 50 ns at worst. Everything whose cost depends on the event pays by its size
 * before it is done, so that no expression can keep the process from its other work, nor fill its memory.
 */
export const metered = <T>(steps: number, evaluate: () => T): T => {
  limit = steps;
  left = steps;
  return evaluate();
};

/** @throws {EvaluationFailed} when the steps are used up */
export const pay = (steps: number): void => {
  left -= steps;
  if (left < 0) throw new EvaluationFailed(`it takes more than ${limit} steps`);
};

/** Steps of the evaluation that was metered last, so far. */
export const stepsTaken = (): number => limit - left;

/** Work on text is quick: sixteen characters are a step. */
export const stepsForText = (characters: number): number => 1 + (characters >> 4);
export const payForText = (characters: number): void => pay(stepsForText(characters));

/** An object's names are at hand while they are few; beyond, an object is a hash table, whose names are put in order whenever they are asked for: 50 ns each, then 400. */
const FEW_NAMES = 64;
const MANY_NAMES = 1_000;

/** Names are there before they can be counted, so that this is paid afterwards: what has to be bounded is how often they are asked for. */
export const stepsForNames = (names: number): number => (names > MANY_NAMES ? 8 * names : names > FEW_NAMES ? names : names >> 2);

/** Up to so many characters a text is compared within the step that the operator is. */
export const COMPARED_AT_ONCE = 256;

/** Text and part may be made such that nearly all of one is compared at each place of the other. */
export const stepsToFind = (characters: number, partCharacters: number): number => stepsForText(characters * Math.min(partCharacters, 16));

/** Some 60 ns for each character and instruction at worst, far less for most patterns. */
export const stepsToMatch = (characters: number, patternSize: number): number => 1 + Math.ceil((characters * patternSize) / 4);

/** What a failure costs that does not end the evaluation: an exception takes some 5 µs. */
export const FAILURE_STEPS = 100;
