/** In the unit of the values. */
export type Percentiles = { readonly count: number; readonly p50: number; readonly p95: number; readonly p99: number; readonly p999: number; readonly max: number };

/** Nearest rank: the least value that `share` of the values do not exceed. */
const rank = (sorted: Float64Array, share: number): number => sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)] ?? Number.NaN;

export const percentilesOf = (values: Iterable<number>): Percentiles => {
  const sorted = Float64Array.from(values).sort();
  return { count: sorted.length, p50: rank(sorted, 0.5), p95: rank(sorted, 0.95), p99: rank(sorted, 0.99), p999: rank(sorted, 0.999), max: rank(sorted, 1) };
};

/** A second of a load. */
export type Second = Percentiles & { readonly second: number };

/** The same for every second in which something came; `atMillis` tells when each value did. */
export const bySecond = (values: ArrayLike<number>, atMillis: ArrayLike<number>): readonly Second[] => {
  const seconds = new Map<number, number[]>();
  for (let n = 0; n < values.length; n += 1) {
    const second = Math.floor((atMillis[n] ?? 0) / 1_000);
    const there = seconds.get(second);
    if (there === undefined) seconds.set(second, [values[n] ?? 0]);
    else there.push(values[n] ?? 0);
  }
  return [...seconds].toSorted(([a], [b]) => a - b).map(([second, mine]) => ({ second, ...percentilesOf(mine) }));
};
