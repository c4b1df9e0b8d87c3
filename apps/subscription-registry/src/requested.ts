import type { By } from '@posthorn/event-store';
import { idempotencyOf, IDEMPOTENCY_KEY_HEADER, type Idempotency } from '@posthorn/service-kit';
import type { FastifyRequest } from 'fastify';
import { parseIfMatch, type Precondition } from './preconditions.js';

/** The circumstances of a write, the same whatever door it came through. */
export type Requested = {
  readonly by: By;
  /** What was asked of the version at hand. */
  readonly precondition?: Precondition;
  readonly idempotency?: Idempotency | undefined;
  /** Clock reading at which the one who asks gives up. */
  readonly deadlineMs?: number | undefined;
  /** Aborted when he has given up; nothing is written from then on. */
  readonly signal?: AbortSignal | undefined;
};

/** Of a REST request. Only a POST can be made idempotent by a key: the other methods are by themselves. @throws {Problem} `malformed` */
export const requestedBy = ({ caller, id, method, url, body, headers }: FastifyRequest): Requested => {
  const key = headers[IDEMPOTENCY_KEY_HEADER];
  return {
    by: { actor: caller.actor, cause: `request ${id}` },
    precondition: parseIfMatch(headers['if-match']),
    idempotency: method === 'POST' ? idempotencyOf(key?.toString(), caller, method, url, body) : undefined,
  };
};
