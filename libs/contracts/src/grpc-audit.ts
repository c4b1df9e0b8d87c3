/** `posthorn.audit.v1`: messages with their codecs, and what the services are made of. */
export * from './generated/posthorn/audit/v1/audit.js';
export * from './generated/posthorn/audit/v1/export.js';
export * from './generated/posthorn/audit/v1/rejected_events.js';
export * from './generated/posthorn/audit/v1/replays.js';
export * from './generated/posthorn/audit/v1/statistics.js';
export * from './generated/posthorn/audit/v1/tail.js';
