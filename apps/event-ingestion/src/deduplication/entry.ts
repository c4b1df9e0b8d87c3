import type { Hash } from './hash.js';
import type { Holding } from './holdings.js';

/** `duplicate`: it had been accepted before. */
export type Ended = 'accepted' | 'duplicate';

/** What asks to be let in. */
export type Entrant = {
  readonly hash: Hash;
  /** Events of the same key keep their order. */
  readonly key: string | undefined;
  readonly bytes: number;
  /** What is to be done with it once it is claimed. */
  readonly go: (entry: Entry, holding: Holding) => void;
};

type Waiting = {
  /** By the order of arrival. */
  readonly place: number;
  expiresAtMs: number;
  /** Before it is asked for again. */
  pauseMs: number;
};

/** What is let in once, until its end is known. */
export type Entry = Entrant &
  Waiting & {
    /** Not asked for before. */
    dueAtMs: number;
    /** Absent while it is not known to be ours. */
    holding: Holding | undefined;
    readonly ended: Promise<Ended>;
    readonly resolve: (ended: Ended) => void;
    readonly reject: (error: unknown) => void;
  };

export const openEntry = (entrant: Entrant & Waiting): Entry => {
  const { promise: ended, resolve, reject } = Promise.withResolvers<Ended>();
  return { ...entrant, dueAtMs: 0, holding: undefined, ended, resolve, reject };
};

/** In milliseconds of `performance.now()`. */
export const expiryAfter = (deadlineMs: number | undefined): number => (deadlineMs === undefined ? Infinity : performance.now() + deadlineMs);

/** What is left of it, as a producer wants to be told. */
export const deadlineOf = (expiresAtMs: number): { readonly deadlineMs?: number } =>
  expiresAtMs === Infinity ? {} : { deadlineMs: Math.max(0, expiresAtMs - performance.now()) };
