export * from './auth.js';
export * from './config.js';
export * from './health.js';
export * from './log.js';
export * from './page-token.js';
export { Problem, parseOrRefuse, type FieldError } from './problem.js';
export { runService, VERSION, type Kit, type KitWithoutKafka, type Service, type ServiceName } from './run-service.js';
export { SecretBox, SecretBoxError, encryptionKeys } from './secret-box.js';
