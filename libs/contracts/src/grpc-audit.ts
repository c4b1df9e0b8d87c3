/** `posthorn.audit.v1`: messages with their codecs, and what the services are made of. */
export * from './generated/posthorn/audit/v1/audit.js';
export * from './generated/posthorn/audit/v1/tail.js';
