export { EventInput } from './event-input.js';
export { admitFilter, admitTransform, compileFilter, compileTransform, explainFilter, FILTER_STEPS, TRANSFORM_RESULT, TRANSFORM_STEPS } from './expression.js';
export type { ExplainedFilter, Filter, FilterVerdict, Refused, Rendering, StepBudget, Transform } from './expression.js';
export { MOST_PARTS, SHOWN_CHARACTERS } from './seen.js';
export type { EvaluatedPart } from './seen.js';
export { expressionLimits } from './source.js';
export type { Position } from './source.js';
