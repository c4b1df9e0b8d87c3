import { eventTypePattern, type MissedCount } from '@posthorn/contracts';
import { z } from 'zod';
import type { Database } from './database.js';
import { time } from './listing.js';

const MAX_PATTERNS = 100;

/** Which events: accepted from `from` on and before `to`, of these types. */
export const missedQuery = z.strictObject({
  from: time,
  to: time,
  event_types: z
    .string()
    .max(64 * 1024)
    .transform((text) => text.split(','))
    .pipe(z.array(eventTypePattern).max(MAX_PATTERNS))
    .describe('Separated by commas; `invoice.*` and `*` as in a subscription'),
});
export type MissedQuery = z.output<typeof missedQuery>;

/** Counted at most. */
const COUNTED = 100_000;
/** Looked at at most, of all types: a second's work at worst, along the index by tenant and time. */
const LOOKED_AT = 500_000;

const COUNT = `
  with looked_at as (
    select type from audit.events
     where tenant = $1 and accepted_at >= $2::timestamptz and accepted_at < $3::timestamptz and day between $4::date and $5::date
     limit ${LOOKED_AT + 1}
  ), counted as (
    select from looked_at
     where $6 or type = any($7::text[]) or exists (select from unnest($8::text[]) as prefix where starts_with(type, prefix))
     limit ${COUNTED + 1}
  )
  select (select count(*)::integer from counted) as counted, (select count(*)::integer from looked_at) > ${LOOKED_AT} as cut_off`;

const isPrefix = (pattern: string): boolean => pattern.endsWith('.*');

/** How many deliveries a subscription to these types would have had. Its filter is not asked: what is counted is what it may have missed. */
export const countMissed = async (database: Pick<Database, 'query'>, tenant: string, { from, to, event_types }: MissedQuery): Promise<MissedCount> => {
  const [row] = await database.query<{ counted: number; cut_off: boolean }>(COUNT, [
    tenant,
    from,
    to,
    from.slice(0, 10),
    to.slice(0, 10),
    event_types.includes('*'),
    event_types.filter((pattern) => !isPrefix(pattern)),
    event_types.filter(isPrefix).map((pattern) => pattern.slice(0, -1)),
  ]);
  const { counted = 0, cut_off = false } = row ?? {};
  return { deliveries: Math.min(counted, COUNTED), at_least: counted > COUNTED || cut_off };
};
