import { idempotencyOf, IDEMPOTENCY_KEY_HEADER, REPLAYED_HEADER } from '@posthorn/service-kit';
import type { CallContext } from '@posthorn/service-kit/grpc';
import type { Answered, Requested } from '../asking/answers.js';

/** Whose call it is, and which. @throws {Problem} `malformed` */
export const requestedByCall = ({ caller, path, metadata }: CallContext, request: object): Requested => ({
  actor: caller.actor,
  idempotency: idempotencyOf(metadata(IDEMPOTENCY_KEY_HEADER), caller, 'gRPC', path, request),
});

/** What is answered, marked where it was before. */
export const tellAnswered = <Answer>({ tell }: CallContext, { answer, isRepetition }: Answered<Answer>): Answer => {
  if (isRepetition) tell(REPLAYED_HEADER, 'true');
  return answer;
};
