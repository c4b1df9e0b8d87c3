/** How much had been offered, and how much of it was in the audit, so long after a load began; in deliveries. */
export type Progress = { readonly seconds: number; readonly offered: number; readonly recorded: number };

export type Trial = { readonly perSecond: number; readonly isSustained: boolean };

/** Of a backlog that grows by more than this share of the rate, it is only a matter of time until it is too large. */
const GROWTH = 0.02;
/** What may wait at any time: batches, commits and a collector's pause are allowed, a queue is not. */
const WAITING_SECONDS = 2;

/** Least squares; 0 for fewer than two points. */
const slope = (points: readonly { readonly x: number; readonly y: number }[]): number => {
  const n = points.length;
  const meanX = points.reduce((sum, { x }) => sum + x, 0) / n;
  const meanY = points.reduce((sum, { y }) => sum + y, 0) / n;
  const spread = points.reduce((sum, { x }) => sum + (x - meanX) ** 2, 0);
  return spread > 0 ? points.reduce((sum, { x, y }) => sum + (x - meanX) * (y - meanY), 0) / spread : 0;
};

/**
 * A rate is sustained when what was offered and is not yet in the audit neither grows (in the second half of the load, over which it
 * is fitted by a line) nor is ever more than two seconds' worth there.
 */
export const isSustained = (progress: readonly Progress[], perSecond: number): boolean => {
  const lastSeconds = progress.at(-1)?.seconds ?? 0;
  const half = progress.filter(({ seconds }) => seconds >= lastSeconds / 2).map(({ seconds, offered, recorded }) => ({ x: seconds, y: offered - recorded }));
  return half.length >= 3 && slope(half) <= GROWTH * perSecond && half.every(({ y }) => y <= WAITING_SECONDS * perSecond);
};

/** The highest rate that was sustained. */
export const highestSustained = (trials: readonly Trial[]): number | undefined => {
  const sustained = trials.filter((trial) => trial.isSustained).map(({ perSecond }) => perSecond);
  return sustained.length === 0 ? undefined : Math.max(...sustained);
};

export type SearchLimits = {
  /** Trials at most. */
  readonly trials: number;
  /** The search ends when the lowest rate that failed is no more than this share above the highest that was sustained. */
  readonly precision: number;
};

/** How much higher the next trial goes while nothing has failed, and how much lower while nothing was sustained. */
const STEP = 1.2;

/** The rate to try next; undefined when the search is over. A noisy machine may fail below what it sustained: then only the failures above count. */
export const nextRate = (firstGuess: number, trials: readonly Trial[], { trials: most, precision }: SearchLimits): number | undefined => {
  if (trials.length >= most) return undefined;
  const low = highestSustained(trials);
  const failed = trials.filter(({ isSustained: was, perSecond }) => !was && perSecond > (low ?? 0)).map(({ perSecond }) => perSecond);
  const high = failed.length === 0 ? undefined : Math.min(...failed);
  if (low === undefined) return high === undefined ? firstGuess : high / STEP;
  if (high === undefined) return low * STEP;
  return high / low - 1 <= precision ? undefined : Math.sqrt(low * high);
};
