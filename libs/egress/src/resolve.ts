import type { LookupAddress } from 'node:dns';

/** All addresses of a name, in the order they are to be tried. Rejects, with a `code` of `node:dns`, when it has none. */
export type Resolve = (hostname: string) => Promise<readonly LookupAddress[]>;

/** What is known of a name, and for how long the name servers want it to be believed, in seconds. */
export type NameRecord = { readonly addresses: readonly LookupAddress[]; readonly ttlSeconds: number };

/** No addresses: the `code` is one of `node:dns`. */
export class NameFailed extends Error {
  override readonly name = 'NameFailed';

  constructor(
    readonly code: string,
    options?: ErrorOptions,
  ) {
    super(code, options);
  }
}
