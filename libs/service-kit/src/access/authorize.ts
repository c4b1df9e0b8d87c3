import { Problem } from '../problem.js';
import { holds, type Caller, type Need } from './caller.js';

/**
 * Whose key this is; undefined when it is nobody's.
 * @throws {Problem} `unauthenticated` where more can be said than that; `unavailable` when it cannot be known now
 */
export type Authenticate = (key: string) => Caller | undefined | Promise<Caller | undefined>;

/** Headers of HTTP, or what a gRPC call has in their place. */
export type Credentials = { readonly authorization?: string | undefined };

/** @throws {Problem} `unauthenticated`, then `not_found` for another's tenant, then `forbidden`: who has no right to a tenant learns nothing of it */
export type Authorize = (headers: Credentials, need: Need) => Promise<Caller>;

/** Why a key is refused; said to whoever sent it. */
export const keyRefused = (detail: string): Problem =>
  new Problem('unauthenticated', detail, { headers: { 'www-authenticate': 'Bearer error="invalid_token"' } });

const keyOf = ({ authorization = '' }: Credentials): string => {
  const [, key] = /^bearer +(\S+) *$/i.exec(authorization) ?? [];
  if (key !== undefined) return key;
  throw new Problem('unauthenticated', 'Send the header Authorization: Bearer <key>.', { headers: { 'www-authenticate': 'Bearer' } });
};

/** The one rule of every door. */
export const authorizer =
  (authenticate: Authenticate): Authorize =>
  async (headers, { scope, tenant, allTenants }) => {
    const caller = await authenticate(keyOf(headers));
    if (caller === undefined) throw keyRefused('The API key is not valid.');
    if (tenant !== undefined && caller.tenant !== undefined && caller.tenant !== tenant) {
      throw new Problem('not_found', 'There is no such tenant.');
    }
    if (!holds(caller, scope)) throw new Problem('forbidden', `The API key does not have the scope ${scope}.`);
    if (allTenants && caller.tenant !== undefined) throw new Problem('forbidden', 'This takes an API key for all tenants.');
    return caller;
  };
