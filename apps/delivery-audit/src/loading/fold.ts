import type { DeliveryStatus } from '@posthorn/contracts';
import type { AttemptRow, DecisionRow, DeliveryRow, EventRow, RejectedEventRow, Rows } from './rows.js';

/** As the enum `audit.delivery_status` declares them; the SQL of `merge.ts` compares by that order. */
const STRENGTH: Readonly<Record<DeliveryStatus, number>> = { pending: 0, retrying: 1, cancelled: 2, failed: 3, delivered: 4 };

const differs = (...differences: readonly number[]): number => differences.find((difference) => difference !== 0) ?? 0;
const compareText = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);

/**
 * The later outcome decides, by round and number, however late it is read. Of two outcomes with the same number (the process died
 * after a request, and the request was repeated) the stronger holds, then the more recent: an end that was reached is never
 * taken back by a repetition, whichever was read first.
 */
const outranks = (a: DeliveryRow, b: DeliveryRow): boolean =>
  differs(a.round - b.round, a.number - b.number, STRENGTH[a.status] - STRENGTH[b.status], compareText(a.updated_at, b.updated_at)) > 0;

const stronger = (a: AttemptRow, b: AttemptRow): AttemptRow =>
  differs(STRENGTH[a.status] - STRENGTH[b.status], compareText(a.started_at, b.started_at)) < 0 ? b : a;

/** An id published twice is one event: what was accepted first. */
const earlier = (a: EventRow, b: EventRow): EventRow => (b.accepted_at < a.accepted_at ? b : a);

/** An event that was decided about again after a crash, or because it was accepted twice: what was seen last, by the registry's positions. */
const seenLast = (a: DecisionRow, b: DecisionRow): DecisionRow =>
  differs(a.position - b.position, compareText(a.near ?? '', b.near ?? ''), a.near_more - b.near_more) < 0 ? b : a;

/** A record that was judged twice, by two of us or before and after a crash, was refused when it was refused first. */
const refusedFirst = (a: RejectedEventRow, b: RejectedEventRow): RejectedEventRow => (b.rejected_at < a.rejected_at ? b : a);

const later = (a: DeliveryRow, b: DeliveryRow): DeliveryRow => {
  const latest = outranks(b, a) ? b : a;
  const created_at = a.created_at < b.created_at ? a.created_at : b.created_at;
  return latest.created_at === created_at ? latest : { ...latest, created_at };
};

const put = <Row>(rows: Map<string, Row>, key: string, row: Row, merge: (known: Row, row: Row) => Row): void => {
  const known = rows.get(key);
  rows.set(key, known === undefined ? row : merge(known, row));
};

/**
 * The rows of several records, each key once. The same rules hold here, within a batch, and in `merge.ts`, between a batch and the
 * tables: together they make the tables independent of the order, the repetition and the batching of the records.
 */
export const foldRows = (all: Iterable<Rows>): Rows => {
  const events = new Map<string, EventRow>();
  const decisions = new Map<string, DecisionRow>();
  const deliveries = new Map<string, DeliveryRow>();
  const attempts = new Map<string, AttemptRow>();
  const rejectedEvents = new Map<string, RejectedEventRow>();
  for (const rows of all) {
    for (const row of rows.events) put(events, `${row.day} ${row.tenant} ${row.id}`, row, earlier);
    for (const row of rows.decisions) put(decisions, `${row.day} ${row.tenant} ${row.event_id}`, row, seenLast);
    for (const row of rows.deliveries) put(deliveries, `${row.day} ${row.id}`, row, later);
    for (const row of rows.attempts) put(attempts, `${row.day} ${row.round} ${row.number} ${row.delivery_id}`, row, stronger);
    for (const row of rows.rejectedEvents) put(rejectedEvents, `${row.day} ${row.id}`, row, refusedFirst);
  }
  return {
    events: [...events.values()],
    decisions: [...decisions.values()],
    deliveries: [...deliveries.values()],
    attempts: [...attempts.values()],
    rejectedEvents: [...rejectedEvents.values()],
  };
};

export const daysOf = ({ events, decisions, deliveries, attempts, rejectedEvents }: Rows): ReadonlySet<string> =>
  new Set([events, decisions, deliveries, attempts, rejectedEvents].flatMap((rows) => rows.map((row) => row.day)));
