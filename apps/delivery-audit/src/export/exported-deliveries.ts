import type { AttemptView, DeliveryView, ExportedAttempt } from '@posthorn/contracts';
import { storedDeliveryId } from '../delivery-id.js';
import { listAttemptsOf, type PlacedAttempt } from '../query/attempts.js';
import type { Database } from '../query/database.js';
import { listDeliveries, type DeliveriesQuery } from '../query/deliveries.js';
import type { Exported, Searched } from './exported.js';
import { pagesOf } from './pages.js';

type Asked = Pick<Database, 'query'>;

const DELIVERIES_PER_PAGE = 1_000;

/** Of deliveries with their attempts: a page is asked for its attempts, most of a kilobyte or two, some of twenty. */
const DELIVERIES_AT_ONCE = 250;
const ATTEMPTS_PER_PAGE = 500;

const deliveryPages = (database: Asked, tenant: string, query: Searched<DeliveriesQuery>, page_size: number): AsyncGenerator<readonly DeliveryView[], void> =>
  pagesOf((page_token) => listDeliveries(database, tenant, { ...query, page_size, page_token }));

const DELIVERY_COLUMNS = [
  'id', 'tenant', 'event_id', 'event_type', 'subscription_id', 'status', 'round', 'attempts', 'next_attempt_at', 'waiting',
  'last_status_code', 'last_error', 'created_at', 'finished_at',
] as const satisfies (keyof DeliveryView)[];

export const exportedDeliveries = (database: Asked, tenant: string, query: Searched<DeliveriesQuery>): Exported<DeliveryView> => ({
  name: 'deliveries',
  columns: DELIVERY_COLUMNS,
  pages: deliveryPages(database, tenant, query, DELIVERIES_PER_PAGE),
  cells: (delivery) => DELIVERY_COLUMNS.map((column) => delivery[column]),
  json: (delivery) => Buffer.from(JSON.stringify(delivery)),
});

const attemptPages = async function* (database: Asked, tenant: string, query: Searched<DeliveriesQuery>): AsyncGenerator<readonly ExportedAttempt[], void> {
  for await (const deliveries of deliveryPages(database, tenant, query, DELIVERIES_AT_ONCE)) {
    // The day of its acceptance is the one that it is kept under.
    const kept = deliveries.map(({ id, created_at }) => ({ stored: storedDeliveryId(id) ?? '', day: created_at.slice(0, 'yyyy-mm-dd'.length) }));
    let last: PlacedAttempt | undefined;
    do {
      const placed: readonly PlacedAttempt[] = await listAttemptsOf(database, kept, last, ATTEMPTS_PER_PAGE);
      yield placed.flatMap(({ place, attempt }) => deliveries.slice(place - 1, place).map((delivery) => exportedAttempt(delivery, attempt)));
      last = placed.length < ATTEMPTS_PER_PAGE ? undefined : placed.at(-1);
    } while (last !== undefined);
  }
};

const exportedAttempt = ({ id, event_id, event_type, subscription_id }: DeliveryView, attempt: AttemptView): ExportedAttempt => ({
  delivery_id: id,
  event_id,
  event_type,
  subscription_id,
  ...attempt,
});

const ATTEMPT_COLUMNS: Readonly<Record<string, (attempt: ExportedAttempt) => unknown>> = {
  delivery_id: (attempt) => attempt.delivery_id,
  event_id: (attempt) => attempt.event_id,
  event_type: (attempt) => attempt.event_type,
  subscription_id: (attempt) => attempt.subscription_id,
  subscription_version: (attempt) => attempt.subscription_version,
  round: (attempt) => attempt.round,
  number: (attempt) => attempt.number,
  trigger: (attempt) => attempt.trigger,
  started_at: (attempt) => attempt.started_at,
  duration_ms: (attempt) => attempt.duration_ms,
  url: (attempt) => attempt.request.url,
  status_code: (attempt) => attempt.response?.status,
  error_code: (attempt) => attempt.error?.code,
  error_message: (attempt) => attempt.error?.message,
  request_headers: (attempt) => attempt.request.headers,
  response_headers: (attempt) => attempt.response?.headers,
  response_body: (attempt) => attempt.response?.body,
  response_truncated: (attempt) => attempt.response?.truncated,
};

/** The attempts of the deliveries that a query finds. */
export const exportedAttempts = (database: Asked, tenant: string, query: Searched<DeliveriesQuery>): Exported<ExportedAttempt> => ({
  name: 'attempts',
  columns: Object.keys(ATTEMPT_COLUMNS),
  pages: attemptPages(database, tenant, query),
  cells: (attempt) => Object.values(ATTEMPT_COLUMNS).map((cell) => cell(attempt)),
  json: (attempt) => Buffer.from(JSON.stringify(attempt)),
});
