/** A service's life so far, as far as it matters for what to do when it has ended. */
export type Life = {
  /** Whether it was ready at any time since `start` began: one that never was is broken, not unlucky. */
  readonly everReady: boolean;
  /** Ends in a row, each soon after its start. */
  readonly failures: number;
};

export type AfterEnd = { readonly kind: 'give_up' } | { readonly kind: 'restart'; readonly afterMs: number; readonly life: Life };

export const FIRST_WAIT_MS = 200;
export const LONGEST_WAIT_MS = 30_000;
/** Who has run for so long begins a new series. */
export const SETTLED_MS = 60_000;

export const newLife: Life = { everReady: false, failures: 0 };

export const onReady = (life: Life): Life => ({ ...life, everReady: true });

/** What follows the end of a service that nobody had asked to end, after it ran for `ranMs`. */
export const afterEnd = (life: Life, ranMs: number): AfterEnd => {
  if (!life.everReady) return { kind: 'give_up' };
  const failures = ranMs >= SETTLED_MS ? 1 : life.failures + 1;
  return {
    kind: 'restart',
    afterMs: Math.min(FIRST_WAIT_MS * 2 ** (failures - 1), LONGEST_WAIT_MS),
    life: { ...life, failures },
  };
};
