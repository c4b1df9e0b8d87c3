export * from './match.js';
export * from './backoff.js';
export * from './delivery.js';
export * from './decider.js';
export * from './subscription/subscription.js';
export * from './tenant/tenant.js';
