import { deliveryStatus, type DeliveryView, type Page } from '@posthorn/contracts';
import { z } from 'zod';
import { storedDeliveryId } from '../delivery-id.js';
import type { Database } from './database.js';
import { DELIVERY_COLUMNS, deliveryViewOf, type DeliveryRow } from './delivery-view.js';
import { listedBetween, listParameters, pageOf } from './listing.js';
import { Conditions } from './sql.js';

const id = z.string().min(1).max(256);
const storedId = z.guid();

export const deliveriesQuery = z.strictObject({
  ...listParameters,
  subscription: id.optional(),
  status: deliveryStatus.optional(),
  event_id: id.optional(),
});
export type DeliveriesQuery = z.output<typeof deliveriesQuery>;

/** Of one event: paged only. */
export const deliveriesOfEventQuery = deliveriesQuery.pick({ page_size: true, page_token: true });
export type DeliveriesOfEventQuery = z.output<typeof deliveriesOfEventQuery>;

const COLUMNS = DELIVERY_COLUMNS.join(', ');

/** Said in the words of the partial index, for its sake. */
const UNDELIVERED = "status <> 'delivered'";

const list = async (database: Database, conditions: Conditions, size: number): Promise<Page<DeliveryView>> => {
  const limit = conditions.parameter(size + 1);
  const rows = await database.query<DeliveryRow>(
    `select ${COLUMNS} from audit.deliveries where ${conditions.text} order by created_at desc, id desc limit ${limit}`,
    conditions.parameters,
  );
  return pageOf(rows, size, ({ created_at, id }) => ({ at: created_at, id }), deliveryViewOf);
};

export const listDeliveries = (database: Database, tenant: string, query: DeliveriesQuery): Promise<Page<DeliveryView>> => {
  const conditions = listedBetween(new Conditions().add('tenant = ?', tenant), 'created_at', query, storedId)
    .add('subscription_id = ?', query.subscription)
    .add('event_id = ?', query.event_id)
    .add('event_type = ?', query.event_type)
    .add('subject = ?', query.subject)
    .add('status = ?', query.status);
  if (query.status !== undefined && query.status !== 'delivered') conditions.add(UNDELIVERED);
  return list(database, conditions, query.page_size);
};

export const listDeliveriesOfEvent = (
  database: Database,
  event: { readonly tenant: string; readonly id: string; readonly day: string },
  query: DeliveriesOfEventQuery,
): Promise<Page<DeliveryView>> => {
  const conditions = new Conditions().add('day = ?::date and event_id = ? and tenant = ?', event.day, event.id, event.tenant);
  return list(database, listedBetween(conditions, 'created_at', query, storedId), query.page_size);
};

/** Of an event whose id was used again on a later day: the newest. */
const ONE = (conditions: Conditions, columns: string): string =>
  `select ${columns} from audit.deliveries where ${conditions.text} order by day desc limit 1`;

export const readDelivery = async (database: Database, tenant: string, id: string): Promise<DeliveryView | undefined> => {
  const stored = storedDeliveryId(id);
  if (stored === undefined) return undefined;
  const conditions = new Conditions().add('id = ?::uuid and tenant = ?', stored, tenant);
  const [row] = await database.query<DeliveryRow>(ONE(conditions, COLUMNS), conditions.parameters);
  return row && deliveryViewOf(row);
};

/** The day under which a delivery and its attempts are kept; undefined when there is no such delivery. */
export const dayOfDelivery = async (database: Database, tenant: string, id: string): Promise<string | undefined> => {
  const stored = storedDeliveryId(id);
  if (stored === undefined) return undefined;
  const conditions = new Conditions().add('id = ?::uuid and tenant = ?', stored, tenant);
  const [row] = await database.query<{ readonly day: string }>(ONE(conditions, 'day::text'), conditions.parameters);
  return row?.day;
};
