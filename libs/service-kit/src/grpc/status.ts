import { Metadata, status } from '@grpc/grpc-js';
import type { ProblemCode } from '@posthorn/contracts';
import { BadRequest, ErrorInfo, RetryInfo, Status } from '@posthorn/contracts/grpc';
import type { Problem } from '../problem.js';

/**
 * By the guidance of google.rpc.Code: ABORTED asks for another round of reading and writing, FAILED_PRECONDITION says that the same call
 * will not do before something else has changed. A request that is too large is what gRPC itself calls RESOURCE_EXHAUSTED.
 */
const CODES: Readonly<Record<ProblemCode, status>> = {
  malformed: status.INVALID_ARGUMENT,
  unauthenticated: status.UNAUTHENTICATED,
  forbidden: status.PERMISSION_DENIED,
  not_found: status.NOT_FOUND,
  method_not_allowed: status.UNIMPLEMENTED,
  already_exists: status.ALREADY_EXISTS,
  conflict: status.FAILED_PRECONDITION,
  idempotency_conflict: status.FAILED_PRECONDITION,
  version_mismatch: status.ABORTED,
  too_large: status.RESOURCE_EXHAUSTED,
  unsupported_media_type: status.INVALID_ARGUMENT,
  invalid: status.INVALID_ARGUMENT,
  rate_limited: status.RESOURCE_EXHAUSTED,
  internal: status.INTERNAL,
  unavailable: status.UNAVAILABLE,
};

/** What a call that was refused ends with; a member of what `grpc-js` calls an error. */
export type Refusal = { readonly code: status; readonly details: string; readonly metadata: Metadata };

export const DETAILS_KEY = 'grpc-status-details-bin';
const DOMAIN = 'posthorn';
/** Trailers of more than 8 KiB are dropped by many clients, with the status in them; in base64 this is well below. */
const DETAILS_BYTES = 5 * 1024;

/** Percent-encoded, a character may take three bytes for each of its own. */
const MESSAGE_CHARACTERS = 256;

/** Half a surrogate pair cannot be encoded: `grpc-js` would throw where nobody catches it. A message that quotes a client may have one. */
const told = (message: string): string => message.slice(0, MESSAGE_CHARACTERS).toWellFormed();

const any = (name: string, bytes: Uint8Array) => ({ type_url: `type.googleapis.com/google.rpc.${name}`, value: bytes });

const errorInfo = ({ code, currentVersion }: Problem) =>
  any(
    'ErrorInfo',
    ErrorInfo.encode({
      reason: code.toUpperCase(),
      domain: DOMAIN,
      metadata: currentVersion === undefined ? {} : { current_version: String(currentVersion) },
    }).finish(),
  );

const badRequest = (errors: NonNullable<Problem['errors']>) => {
  let room = DETAILS_BYTES;
  const fitting = errors.filter(({ path, message }) => (room -= Buffer.byteLength(path) + Buffer.byteLength(message) + 8) >= 0);
  const violations = fitting.map(({ path, message }) => ({ field: path, description: message }));
  return any('BadRequest', BadRequest.encode({ field_violations: violations }).finish());
};

const retryInfo = (seconds: number) => any('RetryInfo', RetryInfo.encode({ retry_delay: { seconds, nanos: 0 } }).finish());

/** A problem as gRPC tells it: code, words, and google.rpc.Status with the details for programs. */
export const refusalOf = (problem: Problem): Refusal => {
  const code = CODES[problem.code];
  const retryAfter = Number(problem.headers['retry-after']);
  const details = [
    errorInfo(problem),
    ...(problem.errors ? [badRequest(problem.errors)] : []),
    ...(Number.isInteger(retryAfter) ? [retryInfo(retryAfter)] : []),
  ];
  const message = told(problem.message);
  const metadata = new Metadata();
  metadata.set(DETAILS_KEY, Buffer.from(Status.encode({ code, message, details }).finish()));
  return { code, details: message, metadata };
};
