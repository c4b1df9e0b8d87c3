import { REGISTRY_POSITION_HEADER } from '@posthorn/contracts';
import { idempotencyOf, IDEMPOTENCY_KEY_HEADER, REPLAYED_HEADER } from '@posthorn/service-kit';
import type { CallContext } from '@posthorn/service-kit/grpc';
import type { Requested } from '../requested.js';
import type { Written } from '../written.js';

export type WriteCall = {
  readonly expectedVersion?: number | undefined;
  /** The request, of a call that can be made idempotent by a key: the others are by themselves. */
  readonly repeatable?: object;
};

/** The circumstances of a write that came as a call. @throws {Problem} `malformed` */
export const requestedByCall = (
  { caller, id, path, metadata, deadlineMs, signal }: CallContext,
  { expectedVersion, repeatable }: WriteCall = {},
): Requested => ({
  by: { actor: caller.actor, cause: `request ${id}` },
  precondition: expectedVersion === undefined ? undefined : (version) => version === expectedVersion,
  idempotency: repeatable && idempotencyOf(metadata(IDEMPOTENCY_KEY_HEADER), caller, 'gRPC', path, repeatable),
  deadlineMs,
  signal,
});

/** Sends with the answer to a write what the client can go on with, and gives the write back. */
export const tellWrittenTo = <Body>({ tell }: CallContext, written: Written<Body>): Written<Body> => {
  if (written.position > 0) tell(REGISTRY_POSITION_HEADER, String(written.position));
  if (written.replayed) tell(REPLAYED_HEADER, 'true');
  return written;
};
