/** What can be wrong with what this library is given; everything that happens on the network is a value, never an exception. */
export type EgressErrorCode = 'invalid_secret' | 'invalid_cidr' | 'authentication_impossible';

export class EgressError extends Error {
  override readonly name = 'EgressError';

  constructor(
    readonly code: EgressErrorCode,
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}
