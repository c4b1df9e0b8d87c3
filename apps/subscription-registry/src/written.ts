import { REGISTRY_POSITION_HEADER } from '@posthorn/contracts';
import { REPLAYED_HEADER } from '@posthorn/service-kit';
import type { FastifyReply } from 'fastify';
import { etagOf } from './preconditions.js';

/** What a write led to: all that a door needs to answer with, and all that is remembered for a repetition of the request. */
export type Written<Body> = {
  readonly body: Body;
  /** Of the aggregate, when it was about one. */
  readonly version?: number;
  /** In `registry.state`, of the last change; 0 when there has never been one. */
  readonly position: number;
  /** The request was made before; this is what it was answered then. */
  readonly replayed?: true;
};

/** Puts on the answer to a write what the client can go on with, and gives its body. */
export const tellWritten = <Body>(reply: FastifyReply, { body, version, position, replayed }: Written<Body>): Body => {
  if (version !== undefined) void reply.header('etag', etagOf(version));
  if (position > 0) void reply.header(REGISTRY_POSITION_HEADER, String(position));
  if (replayed) void reply.header(REPLAYED_HEADER, 'true');
  return body;
};
