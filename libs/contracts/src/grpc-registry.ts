/** `posthorn.registry.v1`: messages with their codecs, and what the services are made of. */
export * from './generated/posthorn/registry/v1/access.js';
export * from './generated/posthorn/registry/v1/event_types.js';
export * from './generated/posthorn/registry/v1/subscriptions.js';
export * from './generated/posthorn/registry/v1/tenants.js';
