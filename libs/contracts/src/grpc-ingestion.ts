/** `posthorn.ingestion.v1`: messages with their codecs, and what the service is made of. */
export * from './generated/posthorn/ingestion/v1/ingestion.js';
