import type { StackError } from './errors.js';

/** Where a server comes from, in the order of choice. */
export type ServerKind = 'environment' | 'container' | 'local';

/** A running server and how its clients reach it. */
export type Server<Address> = Address & {
  readonly kind: ServerKind;
  /** Resolves when it ends, asked or unasked; never for a server that is not ours to watch. */
  readonly ended: Promise<StackError>;
  stop(): Promise<void>;
};

export const never = new Promise<never>(() => {});
