export { breakingChanges } from './breaking.js';
export { compileSchema, type CompiledSchema, type Validate, type Verdict } from './compile.js';
export { schemaLimits, isDeeperThan, jsonBytes } from './limits.js';
export { fault, type Fault } from './fault.js';
export type { Place } from './keywords.js';
export { typesOfOpenApi, type ImportedType, type ImportedTypes } from './open-api.js';
