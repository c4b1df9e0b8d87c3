import { setTimeout as delay } from 'node:timers/promises';
import { deliveryId } from '@posthorn/contracts';
import { Problem } from '@posthorn/service-kit';
import type { Database } from '../query/database.js';
import { findDelivery, type FoundDelivery } from '../query/deliveries.js';
import { deliveryViewOf } from '../query/delivery-view.js';
import { findDuplicates } from '../query/duplicates.js';
import { findEvent, type FoundEvent } from '../query/events.js';
import { listRejectedEvents } from '../query/rejected-events.js';
import { findCancellations } from '../query/rounds.js';
import { tenantOf, type ConfigurationChange } from './configuration.js';
import type { Evidence, RoutingDecision } from './explain.js';

type Asked = Pick<Database, 'query'>;

/** Which event, of whom, and for which subscription. */
export type Question = { readonly tenant: string; readonly eventId: string; readonly subscriptionId: string };

/** The registry's log is folded milliseconds after the routers have read its state. */
const PATIENCE_MS = 2_000;
const LOOK_AGAIN_MS = 20;

/**
 * Everything that is recorded and bears on a question; undefined for a subscription that is not the tenant's.
 * @throws {Problem} `unavailable` when the registry has not been read as far as the router had
 */
export const gatherEvidence = async (database: Asked, { tenant, eventId, subscriptionId }: Question): Promise<Evidence | undefined> => {
  const [event, found] = await Promise.all([
    findEvent(database, tenant, eventId),
    findDelivery(database, tenant, deliveryId(tenant, eventId, subscriptionId)),
  ]);
  // An id that was used again on a later day: what is asked about is the newest event of that id.
  const delivery = event && found?.day !== event.day ? undefined : found;
  const decision = event && (await findDecision(database, tenant, eventId, event.day));
  if (decision) await untilReadTo(database, decision.position);
  const history = await findHistory(database, subscriptionId);
  if (tenantOf(history) !== tenant && delivery === undefined) return undefined;
  const [duplicates, cancellation, rejection] = await Promise.all([
    findDuplicates(database, tenant, eventId, event?.day),
    delivery && cancellationOf(database, delivery),
    event === undefined ? newestRejection(database, tenant, eventId) : undefined,
  ]);
  return { eventId, subscriptionId, event, decision, delivery: delivery && deliveryViewOf(delivery.row), cancellation, history, rejection, duplicates };
};

const cancellationOf = async (database: Asked, delivery: FoundDelivery): Promise<Evidence['cancellation']> =>
  (await findCancellations(database, delivery)).findLast(({ round }) => round === delivery.row.round);

const newestRejection = async (database: Asked, tenant: string, eventId: string): Promise<Evidence['rejection']> =>
  (await listRejectedEvents(database, { tenant }, { event_id: eventId, page_size: 1 })).data[0];

type DecisionRow = { readonly position: string; readonly near: RoutingDecision['near'] | null; readonly near_more: number };

const findDecision = async (database: Asked, tenant: string, eventId: string, day: FoundEvent['day']): Promise<RoutingDecision | undefined> => {
  const [row] = await database.query<DecisionRow>(
    'select position, near, near_more from audit.decisions where tenant = $1 and event_id = $2 and day = $3::date',
    [tenant, eventId, day],
  );
  return row && { position: Number(row.position), near: row.near ?? [], nearMore: row.near_more };
};

type ChangeRow = Omit<ConfigurationChange, 'position' | 'at'> & { readonly position: string; readonly at: Date };

const findHistory = async (database: Asked, subscriptionId: string): Promise<readonly ConfigurationChange[]> => {
  const rows = await database.query<ChangeRow>(
    'select version, position, type, data, actor, at from audit.configuration where stream = $1 order by version',
    [`subscription/${subscriptionId}`],
  );
  return rows.map(({ position, at, ...change }) => ({ ...change, position: Number(position), at: at.toISOString() }));
};

/** @throws {Problem} `unavailable` */
const untilReadTo = async (database: Asked, position: number): Promise<void> => {
  for (const untilMs = performance.now() + PATIENCE_MS; ; await delay(LOOK_AGAIN_MS)) {
    const [row] = await database.query<{ readonly position: string | null }>('select max(position) as position from audit.configuration');
    if (Number(row?.position ?? 0) >= position) return;
    if (performance.now() > untilMs) throw new Problem('unavailable', 'The audit has not yet read the registry as far as the router had. Try again.');
  }
};
