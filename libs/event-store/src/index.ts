export * from './events.js';
export * from './event-store.js';
export * from './migrations.js';
export * from './relay.js';
export * from './relay-checkpoint.js';
export * from './database.js';
export * from './copy.js';
export * from './session.js';
