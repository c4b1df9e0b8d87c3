import type { FastifyReply } from 'fastify';
import { etagOf } from './preconditions.js';
import type { Standing } from './aggregates.js';

/** With it, a client that publishes next can have the router wait for what it has just written. */
export const REGISTRY_POSITION = 'posthorn-registry-position';

/** Puts on the answer to a write what the client can go on with. */
export const tellWritten = (reply: FastifyReply, { version, position }: Standing<unknown>): void => {
  void reply.header('etag', etagOf(version)).header(REGISTRY_POSITION, String(position));
};
