/**
 * `busy`: another process runs on the same data. `unavailable`: nothing on this machine can provide it, the message says what
 * was tried and what to install. `failed`: it was there but did not start, the message names its log.
 */
export type StackErrorCode = 'busy' | 'unavailable' | 'failed';

export class StackError extends Error {
  override readonly name = 'StackError';
  readonly code: StackErrorCode;

  constructor(code: StackErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

export const reasonOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));
