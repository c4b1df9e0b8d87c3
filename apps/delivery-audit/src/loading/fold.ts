import type { DeliveryStatus } from '@posthorn/contracts';
import { ByDay } from './by-day.js';
import type {
  AttemptRow,
  CancellationRow,
  ConfigurationRow,
  DecisionRow,
  DeliveryRow,
  DeliveryStanding,
  DeliveryWaiting,
  DuplicateRow,
  EventRow,
  RejectedEventRow,
  RoundRow,
  Rows,
} from './rows.js';

/** As the enum `audit.delivery_status` declares them; the SQL of `merge.ts` compares by that order. */
const STRENGTH: Readonly<Record<DeliveryStatus, number>> = { pending: 0, retrying: 1, cancelled: 2, failed: 3, delivered: 4 };

const differs = (...differences: readonly number[]): number => differences.find((difference) => difference !== 0) ?? 0;
const compareText = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);

/**
 * The later round decides, however late it is read. Within a round the stronger status does: an end is never taken back by a request
 * that was repeated after a crash, under whatever number; a cancellation beats the retries that were under way, and a request that got
 * through beats the cancellation. Then the number, the more recent, and, so that nothing is left to chance, the rest.
 */
export const outranks = (a: DeliveryStanding, b: DeliveryStanding): boolean =>
  (a.round - b.round ||
    STRENGTH[a.status] - STRENGTH[b.status] ||
    a.number - b.number ||
    compareText(a.updated_at, b.updated_at) ||
    (a.last_status_code ?? 0) - (b.last_status_code ?? 0) ||
    compareText(a.last_error ?? '', b.last_error ?? '') ||
    compareText(a.next_attempt_at ?? '', b.next_attempt_at ?? '')) > 0;

/** Of an attempt's postponements the last, of two attempts' those of the later. */
const waitsLater = (a: DeliveryWaiting, b: DeliveryWaiting): boolean =>
  differs(
    (a.waiting_round ?? -1) - (b.waiting_round ?? -1),
    (a.waiting_number ?? -1) - (b.waiting_number ?? -1),
    compareText(a.waiting_since ?? '', b.waiting_since ?? ''),
    compareText(a.waiting_until ?? '', b.waiting_until ?? ''),
    compareText(a.waiting_cause ?? '', b.waiting_cause ?? ''),
    compareText(a.waiting_behind ?? '', b.waiting_behind ?? ''),
  ) > 0;

const stronger = (a: AttemptRow, b: AttemptRow): AttemptRow =>
  differs(STRENGTH[a.status] - STRENGTH[b.status], compareText(a.started_at, b.started_at), a.duration_ms - b.duration_ms) < 0 ? b : a;

/** An id published twice is one event: what was accepted first. */
const earlier = (a: EventRow, b: EventRow): EventRow => (b.accepted_at < a.accepted_at ? b : a);

/** An event that was decided about again after a crash, or because it was accepted twice: what was seen last, by the registry's positions. */
const seenLast = (a: DecisionRow, b: DecisionRow): DecisionRow =>
  differs(a.position - b.position, compareText(a.near ?? '', b.near ?? ''), a.near_more - b.near_more) < 0 ? b : a;

/** A record that was judged twice, by two of us or before and after a crash, was refused when it was refused first. */
const refusedFirst = (a: RejectedEventRow, b: RejectedEventRow): RejectedEventRow => (b.rejected_at < a.rejected_at ? b : a);

/** A round has one beginning, and is called off once: whoever was first. */
const askedFirst = <Row extends RoundRow | CancellationRow>(a: Row, b: Row): Row => (differs(compareText(a.at, b.at), compareText(a.actor, b.actor)) > 0 ? b : a);

/** A writer's count only grows. */
const countedMore = (a: DuplicateRow, b: DuplicateRow): DuplicateRow => (b.count > a.count ? b : a);

/** What the registry once did is not done otherwise when it is told again. */
const asTold = (a: ConfigurationRow): ConfigurationRow => a;

const hasWaited = ({ waiting_round }: DeliveryWaiting): boolean => waiting_round !== null;

/** What each part knows best: the origin by the earliest acceptance, the standing by rank, the waiting by the last postponement. */
const together = (a: DeliveryRow, b: DeliveryRow): DeliveryRow => {
  const latest = outranks(b, a) ? b : a;
  const first = b.created_at < a.created_at ? b : a;
  if (latest.created_at === first.created_at && !hasWaited(a) && !hasWaited(b)) return latest;
  const { created_at, event_type, subject } = first;
  const { waiting_round, waiting_number, waiting_since, waiting_until, waiting_cause, waiting_behind } = waitsLater(b, a) ? b : a;
  return { ...latest, created_at, event_type, subject, waiting_round, waiting_number, waiting_since, waiting_until, waiting_cause, waiting_behind };
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
  const deliveries = new ByDay<DeliveryRow>();
  const attempts = new Map<string, AttemptRow>();
  const rounds = new Map<string, RoundRow>();
  const cancellations = new Map<string, CancellationRow>();
  const rejectedEvents = new Map<string, RejectedEventRow>();
  const duplicates = new Map<string, DuplicateRow>();
  const configuration = new Map<string, ConfigurationRow>();
  for (const rows of all) {
    for (const row of rows.events) put(events, `${row.day} ${row.tenant} ${row.id}`, row, earlier);
    for (const row of rows.decisions) put(decisions, `${row.day} ${row.tenant} ${row.event_id}`, row, seenLast);
    for (const row of rows.deliveries) {
      const known = deliveries.get(row.day, row.id);
      deliveries.set(row.day, row.id, known === undefined ? row : together(known, row));
    }
    for (const row of rows.attempts) put(attempts, `${row.day} ${row.round} ${row.number} ${row.delivery_id}`, row, stronger);
    for (const row of rows.rounds) put(rounds, `${row.day} ${row.round} ${row.delivery_id}`, row, askedFirst);
    for (const row of rows.cancellations) put(cancellations, `${row.day} ${row.round} ${row.delivery_id}`, row, askedFirst);
    for (const row of rows.rejected_events) put(rejectedEvents, `${row.day} ${row.id}`, row, refusedFirst);
    for (const row of rows.duplicates) put(duplicates, `${row.day} ${row.writer} ${row.tenant} ${row.event_id}`, row, countedMore);
    for (const row of rows.configuration) put(configuration, `${row.version} ${row.stream}`, row, asTold);
  }
  return {
    events: [...events.values()],
    decisions: [...decisions.values()],
    deliveries: deliveries.values(),
    attempts: [...attempts.values()],
    rounds: [...rounds.values()],
    cancellations: [...cancellations.values()],
    rejected_events: [...rejectedEvents.values()],
    duplicates: [...duplicates.values()],
    configuration: [...configuration.values()],
  };
};

export const daysOf = ({ configuration: _ofNoDay, ...rows }: Rows): ReadonlySet<string> => {
  const days = new Set<string>();
  for (const ofTable of Object.values(rows)) for (const { day } of ofTable) days.add(day);
  return days;
};
