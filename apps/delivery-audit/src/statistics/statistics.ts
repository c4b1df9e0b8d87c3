import { statisticsStep, durationMs, type StatisticsStep, type StatisticsView } from '@posthorn/contracts';
import { Problem } from '@posthorn/service-kit';
import { z } from 'zod';
import type { Database } from '../query/database.js';
import { time } from '../query/listing.js';
import { Figures } from './figures.js';
import { MINUTES_KEPT_MS } from './folder.js';
import { isByHours, LONGEST_MS, MOST_POINTS, pointsOf, Series, spanOf, type Span } from './series.js';
import { MINUTE_MS, readDelta } from './tally.js';

const DAY_MS = durationMs('1d');
/** PostgreSQL has no year 0. */
const FIRST_MS = Date.parse('0001-01-01T00:00:00Z');

export const statisticsQuery = z.strictObject({
  from: time.optional().describe('Inclusive; absent: 24 hours before `to`. Goes back to the beginning of its step'),
  to: time.optional().describe('Exclusive; absent: now. Goes on to the end of its step'),
  step: statisticsStep
    .optional()
    .describe(`Absent: \`1h\`, or \`1d\` where that would be more than ${MOST_POINTS} points. Steps under an hour reach back ${MINUTES_KEPT_MS / DAY_MS} days`),
});
export type StatisticsQuery = z.output<typeof statisticsQuery>;

const refused = (path: keyof StatisticsQuery, message: string): Problem => new Problem('invalid', `${path}: ${message}`, { errors: [{ path, message }] });

/**
 * What a query asks for.
 * @throws {Problem} `invalid` when it is no time, too long, too fine, or too long ago for its step
 */
export const spanOfQuery = (query: StatisticsQuery, nowMs: number): Span => {
  const toMs = query.to === undefined ? nowMs : Date.parse(query.to);
  const fromMs = query.from === undefined ? Math.max(toMs - DAY_MS, FIRST_MS) : Date.parse(query.from);
  if (fromMs >= toMs) throw refused('from', 'must be before `to`');
  if (toMs - fromMs > LONGEST_MS) throw refused('from', `at most ${LONGEST_MS / DAY_MS} days before \`to\``);
  const span = spanOf(fromMs, toMs, query.step ?? defaultStep(fromMs, toMs));
  if (pointsOf(span) > MOST_POINTS) throw refused('step', `makes ${pointsOf(span)} points of this time, and ${MOST_POINTS} are the most`);
  if (!isByHours(span) && fromMs < nowMs - MINUTES_KEPT_MS) throw refused('step', `must be at least 1h for what is more than ${MINUTES_KEPT_MS / DAY_MS} days ago`);
  return span;
};

const defaultStep = (fromMs: number, toMs: number): StatisticsStep => (pointsOf(spanOf(fromMs, toMs, '1h')) > MOST_POINTS ? '1d' : '1h');

/** Whose statistics: of one of the tenant's subscriptions, or of all of them. */
export type Whose = { readonly tenant: string; readonly subscription?: string };

type Row = { readonly at: Date | null; readonly figures: Buffer };

/** One statement, so that what is being folded meanwhile is seen either before or after, and counts once. */
const sql = (table: 'statistics_hours' | 'statistics_minutes'): string => `
  select at, figures from audit.${table}
   where tenant = $1 and subscription_id = $2 and at >= $3::timestamptz and at < $4::timestamptz and day between $3::date and $4::date
  union all
  select null, figures from audit.statistics_deltas where tenant = $1`;

/** The statistics to the moment: of what is folded, and of what no folder has come to yet. */
export const readStatistics = async (database: Pick<Database, 'query'>, { tenant, subscription }: Whose, span: Span): Promise<StatisticsView> => {
  const series = new Series(span);
  const rows = await database.query<Row>(sql(isByHours(span) ? 'statistics_hours' : 'statistics_minutes'), [
    tenant,
    subscription ?? '',
    new Date(span.fromMs).toISOString(),
    new Date(span.toMs).toISOString(),
  ]);
  for (const { at, figures } of rows) {
    if (at === null) readDelta(figures, subscription, (_, minute, some) => series.add(minute * MINUTE_MS, some));
    else series.add(at.getTime(), Figures.decode(figures));
  }
  return series.view;
};
