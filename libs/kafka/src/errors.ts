/**
 * - `unavailable`: Kafka did not answer in time; whether a record was written is unknown, unless its producer has a guard: then it was not
 * - `refused`: Kafka will not take this record, however often it is sent
 * - `closed`: asked of something that has been closed
 * - `withdrawn`: the producer's guard did not let the record be sent, or sent again
 */
export type KafkaErrorCode = 'unavailable' | 'refused' | 'closed' | 'withdrawn';

export class KafkaError extends Error {
  override readonly name = 'KafkaError';

  constructor(
    readonly code: KafkaErrorCode,
    message: string,
    options?: { cause?: unknown },
  ) {
    super(message, options);
  }
}

/** Answers that concern the record itself. Every other failure, also one the client calls final, is taken for an outage that will end. */
const REFUSALS: ReadonlySet<string> = new Set([
  'MESSAGE_TOO_LARGE',
  'RECORD_LIST_TOO_LARGE',
  'INVALID_RECORD',
  'INVALID_TIMESTAMP',
  'INVALID_TOPIC_EXCEPTION',
  'TOPIC_AUTHORIZATION_FAILED',
  'POLICY_VIOLATION',
]);

const MAX_CAUSES = 8;

/** The error and what it was caused by, outermost first. */
const causes = function* (error: unknown): Generator<Error> {
  let current = error;
  for (let depth = 0; depth < MAX_CAUSES && current instanceof Error; depth++) {
    yield current;
    current = current.cause;
  }
};

/** The protocol's name of the error (`MESSAGE_TOO_LARGE`), wherever in the chain of causes it is. */
export const protocolError = (error: unknown): string | undefined => {
  for (const cause of causes(error)) {
    if ('type' in cause && typeof cause.type === 'string') return cause.type;
  }
  return undefined;
};

export const isRefusal = (error: unknown): boolean => {
  if (error instanceof KafkaError) return error.code === 'refused';
  const type = protocolError(error);
  return type !== undefined && REFUSALS.has(type);
};

export const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));
