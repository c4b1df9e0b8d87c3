import { pageQuery, type DeliveryStatus, type Page, type TimelineEntry, type Trigger } from '@posthorn/contracts';
import { decodePageToken, encodePageToken } from '@posthorn/service-kit';
import { z } from 'zod';
import type { Database } from './database.js';
import type { FoundDelivery } from './deliveries.js';
import type { DeliveryRow } from './delivery-view.js';
import { findCancellations, findRounds, type CancellationRow, type RoundRow } from './rounds.js';
import { withoutNulls } from './sql.js';

export const timelineQuery = z.strictObject(pageQuery);
export type TimelineQuery = z.output<typeof timelineQuery>;

type AttemptRow = {
  readonly round: number;
  readonly number: number;
  readonly trigger: Trigger;
  readonly status: DeliveryStatus;
  readonly started_at: Date;
  readonly duration_ms: number;
  readonly status_code: number | null;
  readonly error_code: string | null;
  readonly subscription_version: number | null;
};

/** All that is known of one delivery. */
export type DeliveryHistory = {
  readonly delivery: DeliveryRow;
  /** The registry's position by which it was routed; absent while the decision is not recorded. */
  readonly position: number | undefined;
  readonly rounds: readonly RoundRow[];
  readonly attempts: readonly AttemptRow[];
  readonly cancellations: readonly CancellationRow[];
};

/** What is told first of what happened in the same millisecond. */
const ORDER: readonly TimelineEntry['kind'][] = ['accepted', 'routed', 'asked_for', 'postponed', 'attempt', 'cancellation_asked_for', 'ended'];

const roundOf = (entry: TimelineEntry): number => ('round' in entry ? entry.round : 0);
const numberOf = (entry: TimelineEntry): number => ('number' in entry ? entry.number : 0);

const isUnder = (a: TimelineEntry, b: TimelineEntry): number =>
  Date.parse(a.at) - Date.parse(b.at) || roundOf(a) - roundOf(b) || ORDER.indexOf(a.kind) - ORDER.indexOf(b.kind) || numberOf(a) - numberOf(b);

const attemptEntry = ({ started_at, status, ...rest }: AttemptRow): TimelineEntry | undefined =>
  status === 'pending' ? undefined : (withoutNulls({ kind: 'attempt' as const, at: started_at.toISOString(), status, ...rest }) as TimelineEntry); // Without nulls only members that may be absent are

const postponedEntry = ({ waiting_round, waiting_number, waiting_since, waiting_until, waiting_cause, waiting_behind }: DeliveryRow): readonly TimelineEntry[] =>
  waiting_round === null || waiting_number === null || waiting_since === null || waiting_cause === null
    ? []
    : [
        {
          kind: 'postponed',
          at: waiting_since.toISOString(),
          round: waiting_round,
          number: waiting_number,
          cause: waiting_cause,
          ...(waiting_until && { until: waiting_until.toISOString() }),
          ...(waiting_behind !== null && { behind: waiting_behind }),
        },
      ];

const endedEntry = ({ status, round, finished_at, last_error }: DeliveryRow): readonly TimelineEntry[] =>
  finished_at === null || status === 'pending' || status === 'retrying'
    ? []
    : [{ kind: 'ended', at: finished_at.toISOString(), round, status, ...(last_error !== null && { reason: last_error }) }];

/** What happened to a delivery, oldest first. */
export const timelineOf = ({ delivery, position, rounds, attempts, cancellations }: DeliveryHistory): readonly TimelineEntry[] => {
  const at = delivery.created_at.toISOString();
  return [
    { kind: 'accepted' as const, at },
    ...(position === undefined ? [] : [{ kind: 'routed' as const, at, position }]),
    ...rounds.map((round) => ({ kind: 'asked_for' as const, ...round })),
    ...attempts.map(attemptEntry).filter((entry) => entry !== undefined),
    ...postponedEntry(delivery),
    ...cancellations.map((cancellation) => ({ kind: 'cancellation_asked_for' as const, ...cancellation })),
    ...endedEntry(delivery),
  ].toSorted(isUnder);
};

/** Of one delivery; a row is small without what was sent and answered. Who has more of them asks for its attempts, which come in pages from the table. */
const MOST_ATTEMPTS = 10_000;

const historyOf = async (database: Pick<Database, 'query'>, { row: delivery, day, stored }: FoundDelivery): Promise<DeliveryHistory> => {
  const [rounds, cancellations, attempts, decisions] = await Promise.all([
    findRounds(database, { day, stored }),
    findCancellations(database, { day, stored }),
    database.query<AttemptRow>(
      `select round, number, trigger, status, started_at, duration_ms, status_code, error_code, subscription_version
       from audit.attempts where day = $1::date and delivery_id = $2::uuid order by round, number limit ${MOST_ATTEMPTS}`,
      [day, stored],
    ),
    database.query<{ readonly position: string }>('select position from audit.decisions where day = $1::date and tenant = $2 and event_id = $3', [
      day,
      delivery.tenant,
      delivery.event_id,
    ]),
  ]);
  const [decision] = decisions;
  return { delivery, position: decision && Number(decision.position), rounds, attempts, cancellations };
};

/** How many entries the pages before had: what happened is not undone, and what is new comes after all of it, but for a postponement, whose place the next one takes. */
const told = z.tuple([z.number().int().nonnegative()]);

export const listTimeline = async (database: Pick<Database, 'query'>, found: FoundDelivery, { page_size, page_token }: TimelineQuery): Promise<Page<TimelineEntry>> => {
  const [from] = page_token === undefined ? [0] : decodePageToken(told, page_token);
  const entries = timelineOf(await historyOf(database, found));
  const data = entries.slice(from, from + page_size);
  return entries.length <= from + page_size ? { data } : { data, next_page_token: encodePageToken([from + page_size]) };
};
