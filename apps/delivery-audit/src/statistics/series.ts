import { attemptErrorCode, durationMs, type StatisticsFigures, type StatisticsStep, type StatisticsView } from '@posthorn/contracts';
import { Figures } from './figures.js';
import type { Sketch } from './sketch.js';

/** A time cut into steps: from the beginning of the first to the end of the last. */
export type Span = { readonly fromMs: number; readonly toMs: number; readonly step: StatisticsStep };

/** Points that one answer has at most: a day by the minute, two months by the hour. */
export const MOST_POINTS = 1_500;
/** And how long a time it tells of, which bounds what is read by the hour. */
export const LONGEST_MS = 400 * durationMs('1d');

const HOUR_MS = durationMs('1h');

/** Steps begin at the epoch, and so, as they divide a day, with each day in UTC. */
export const spanOf = (fromMs: number, toMs: number, step: StatisticsStep): Span => {
  const stepMs = durationMs(step);
  return { fromMs: Math.floor(fromMs / stepMs) * stepMs, toMs: Math.ceil(toMs / stepMs) * stepMs, step };
};

export const pointsOf = ({ fromMs, toMs, step }: Span): number => (toMs - fromMs) / durationMs(step);

/** Whether hours say enough; where they do not, minutes are asked. */
export const isByHours = ({ step }: Span): boolean => durationMs(step) >= HOUR_MS;

/** Figures in the order in which they are found, added to the point that they belong to, and to the whole. */
export class Series {
  readonly #span: Span;
  readonly #stepMs: number;
  readonly #totals = new Figures();
  readonly #points: (Figures | undefined)[];

  constructor(span: Span) {
    this.#span = span;
    this.#stepMs = durationMs(span.step);
    this.#points = Array.from({ length: pointsOf(span) });
  }

  /** What is not in the span is left out. The figures are given away. */
  add(atMs: number, figures: Figures): void {
    if (atMs < this.#span.fromMs || atMs >= this.#span.toMs) return;
    const point = Math.floor((atMs - this.#span.fromMs) / this.#stepMs);
    this.#totals.add(figures);
    const known = this.#points[point];
    if (known) known.add(figures);
    else this.#points[point] = figures;
  }

  get view(): StatisticsView {
    const { fromMs, toMs, step } = this.#span;
    return {
      from: isoOf(fromMs),
      to: isoOf(toMs),
      step,
      totals: viewOf(this.#totals),
      series: this.#points.map((figures, index) => ({ at: isoOf(fromMs + index * this.#stepMs), ...viewOf(figures ?? NOTHING) })),
    };
  }
}

const NOTHING = new Figures();

const isoOf = (ms: number): string => new Date(ms).toISOString();

/** Of some, all; absent when there are none. */
const rate = (some: number, all: number): { readonly success_rate?: number } => (all === 0 ? {} : { success_rate: some / all });

/** No digits that say nothing; rounding takes half a thousandth, which the sketch leaves to it. */
const quantilesOf = (sketch: Sketch): StatisticsFigures['duration_ms'] => {
  const [p50, p95, p99] = sketch.quantiles([0.5, 0.95, 0.99]).map((value) => value && Number(value.toPrecision(4)));
  return p50 === undefined || p95 === undefined || p99 === undefined ? undefined : { p50, p95, p99 };
};

const viewOf = (figures: Figures): StatisticsFigures => {
  const delivered = figures.of('deliveries.delivered');
  const failed = figures.of('deliveries.failed');
  const succeeded = figures.of('attempts.succeeded');
  const total = succeeded + figures.of('attempts.failed');
  const errors = attemptErrorCode.options.map((code) => [code, figures.of(`errors.${code}`)] as const).filter(([, times]) => times > 0);
  const duration_ms = quantilesOf(figures.durations);
  const latency_ms = quantilesOf(figures.latencies);
  return {
    deliveries: { delivered, failed, cancelled: figures.of('deliveries.cancelled'), ...rate(delivered, delivered + failed) },
    attempts: { total, succeeded, failed: total - succeeded, ...rate(succeeded, total), errors: Object.fromEntries(errors) },
    ...(duration_ms && { duration_ms }),
    ...(latency_ms && { latency_ms }),
  };
};
