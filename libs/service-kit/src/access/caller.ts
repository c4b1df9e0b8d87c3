import type { Scope } from '@posthorn/contracts';

/** Who asks, and what he has a right to. */
export type Caller = {
  /** Id of the API key; `admin` for the key in POSTHORN_ADMIN_API_KEY, `portal:<key id>` for a portal token that this key made. */
  readonly actor: string;
  /** The only tenant he has a right to; undefined: all. */
  readonly tenant: string | undefined;
  readonly scopes: ReadonlySet<Scope>;
};

/** What a call asks of its caller. */
export type Need = {
  readonly scope: Scope;
  /** Whose things it is about; absent when it is about no tenant's in particular. */
  readonly tenant?: string | undefined;
  /** Only for those whose right is not to one tenant. */
  readonly allTenants?: true | undefined;
};

/** `admin` holds all others; nothing else holds anything but itself. */
export const holds = ({ scopes }: Caller, scope: Scope): boolean => scopes.has(scope) || scopes.has('admin');
