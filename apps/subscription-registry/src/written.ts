import { REGISTRY_POSITION_HEADER } from '@posthorn/contracts';
import type { FastifyReply } from 'fastify';
import { etagOf } from './preconditions.js';
import type { Standing } from './aggregates.js';

/** Puts on the answer to a write what the client can go on with. */
export const tellWritten = (reply: FastifyReply, { version, position }: Standing<unknown>): void => {
  void reply.header('etag', etagOf(version)).header(REGISTRY_POSITION_HEADER, String(position));
};
