import { idempotencyOf, IDEMPOTENCY_KEY_HEADER, REPLAYED_HEADER } from '@posthorn/service-kit';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Answered, Requested } from './answers.js';

/** Whose POST it is, and which. @throws {Problem} `malformed` */
export const requestedBy = ({ caller, method, url, body, headers }: FastifyRequest): Requested => ({
  actor: caller.actor,
  idempotency: idempotencyOf(headers[IDEMPOTENCY_KEY_HEADER]?.toString(), caller, method, url, body),
});

/** What is answered, marked where it was before. */
export const tell = <Answer>(reply: FastifyReply, { answer, isRepetition }: Answered<Answer>): Answer => {
  if (isRepetition) void reply.header(REPLAYED_HEADER, 'true');
  return answer;
};
