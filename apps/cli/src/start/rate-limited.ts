/** Lets through so many lines in a second, and then says how many it kept back; a pure counter, the clock is handed in. */
export type LineBudget = {
  /** Whether the line may be printed, and how many were kept back since the last one that was. */
  take(nowMs: number): { readonly print: boolean; readonly keptBack: number };
};

const SECOND_MS = 1_000;

export const lineBudget = (perSecond: number): LineBudget => {
  let windowStartMs = Number.NEGATIVE_INFINITY;
  let printed = 0;
  let keptBack = 0;
  return {
    take: (nowMs) => {
      if (nowMs - windowStartMs >= SECOND_MS) {
        windowStartMs = nowMs;
        printed = 0;
      }
      if (printed >= perSecond) {
        keptBack += 1;
        return { print: false, keptBack };
      }
      printed += 1;
      const before = keptBack;
      keptBack = 0;
      return { print: true, keptBack: before };
    },
  };
};
