export * from './access/index.js';
export * from './config.js';
export { configurationTable, type DescribedService } from './config-table.js';
export * from './health.js';
export { createHttpApp, type HttpAppOptions } from './http-app.js';
export { idempotencyOf, IDEMPOTENCY_KEY_HEADER, REPLAYED_HEADER, type Idempotency } from './idempotency-key.js';
export * from './log.js';
export { lagMetric } from './metrics.js';
export { Answers } from './openapi/answers.js';
export { serveDocs } from './openapi/docs.js';
export type { ApiDescription } from './openapi/document.js';
export { Takes } from './openapi/takes.js';
export * from './page-token.js';
export { Problem, parseOrRefuse, type FieldError } from './problem.js';
export { RawBody } from './raw-body.js';
export { runService, VERSION, type Kit, type KitWithoutKafka, type Service, type ServiceName } from './run-service.js';
export { SecretBox, SecretBoxError, encryptionKeys } from './secret-box.js';
/** What configurations are written in, so that a schema and the kit that reads it are of one version. */
export { z } from 'zod';
