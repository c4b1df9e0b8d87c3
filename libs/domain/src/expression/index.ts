export { EventInput } from './event-input.js';
export { compileFilter, compileTransform, FILTER_STEPS, TRANSFORM_RESULT, TRANSFORM_STEPS } from './expression.js';
export type { Filter, FilterVerdict, Refused, Transform } from './expression.js';
export { expressionLimits } from './source.js';
export type { Position } from './source.js';
