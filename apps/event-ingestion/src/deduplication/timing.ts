/** An owner that has not been heard of for so long may be taken for dead. It stops counting on its claims well before. */
export const LAPSE_MS = 5_000;

export const TIMING = {
  /** How long after it last reached PostgreSQL an owner counts on its claims. */
  leaseMs: 3_000,
  beatMs: 1_000,
  /** From the beginning of one statement to the beginning of the next, where the one has claimed two events or more. */
  paceMs: 5,
  firstPauseMs: 10,
  longestPauseMs: 250,
  /** Closing waits for the next claim, but not for ever: what is closed late is in doubt longer if this process dies. */
  closeWithinMs: 100,
  /** After an attempt without an answer: what the broker had in hand then is in the log by now, or never. */
  settledAfterMs: 1_000,
};
export type Timing = Readonly<typeof TIMING>;
