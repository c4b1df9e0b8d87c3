export * from './match.js';
export * from './backoff.js';
export * from './delivery.js';
