export * from './ids.js';
export * from './envelope.js';
export * from './records.js';
export * from './topics.js';
export * from './topic-table.js';
export * from './rest.js';
