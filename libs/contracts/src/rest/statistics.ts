import { z } from 'zod';
import { attemptErrorCode } from '../records.js';
import { timestamp } from './names.js';

/** How far apart the points of a series are. Each divides a day, and begins with one in UTC. */
export const statisticsStep = z.enum(['1m', '5m', '15m', '30m', '1h', '3h', '6h', '12h', '1d']);
export type StatisticsStep = z.infer<typeof statisticsStep>;

const times = z.number().int().nonnegative();
const rate = z.number().min(0).max(1);

const quantiles = z.object({ p50: z.number(), p95: z.number(), p99: z.number() }).meta({ id: 'Quantiles' });

const figures = {
  deliveries: z
    .object({
      delivered: times,
      failed: times,
      cancelled: times,
      success_rate: rate.optional().describe('Delivered of those delivered or failed; absent when there are none'),
    })
    .describe('Those whose latest end was in this time'),
  attempts: z
    .object({
      total: times,
      succeeded: times,
      failed: times,
      success_rate: rate.optional().describe('Absent when there are none'),
      errors: z.partialRecord(attemptErrorCode, times).describe('The failed, by what they failed of; what did not occur is absent'),
    })
    .describe('Those that began in this time'),
  duration_ms: quantiles.optional().describe('Of these attempts, each within 1 %; absent when there are none'),
  latency_ms: quantiles
    .optional()
    .describe('From acceptance to the end of the delivery, of those delivered in their first round, each within 1 %; absent when there are none'),
};

const point = z.object({ at: timestamp.describe('Its beginning'), ...figures }).meta({ id: 'StatisticsPoint' });

export const statisticsView = z
  .object({
    from: timestamp.describe('Inclusive; the one asked for, or the beginning of the step that it is in'),
    to: timestamp.describe('Exclusive; the one asked for, or the end of the step that it is in'),
    step: statisticsStep,
    totals: z.object(figures).meta({ id: 'StatisticsTotals' }),
    series: z.array(point).describe('A point for each step, also where nothing happened'),
  })
  .meta({ id: 'Statistics' });
export type StatisticsView = Readonly<z.infer<typeof statisticsView>>;
export type StatisticsFigures = Readonly<Pick<StatisticsView['totals'], keyof typeof figures>>;
