export { EventInput } from './event-input.js';
export { admitFilter, admitTransform, compileFilter, compileTransform, FILTER_STEPS, TRANSFORM_RESULT, TRANSFORM_STEPS } from './expression.js';
export type { Filter, FilterVerdict, Refused, Rendering, StepBudget, Transform } from './expression.js';
export { expressionLimits } from './source.js';
export type { Position } from './source.js';
