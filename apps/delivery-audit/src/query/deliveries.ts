import { deliveryStatus, type DeliveryStatus, type DeliveryView, type Page } from '@posthorn/contracts';
import { z } from 'zod';
import { storedDeliveryId } from '../delivery-id.js';
import type { Database } from './database.js';
import { DELIVERY_COLUMNS, deliveryViewOf, type DeliveryRow } from './delivery-view.js';
import { boundedBy, listedBetween, listParameters, ofSubject, pageOf, placeOf, text } from './listing.js';
import { Conditions } from './sql.js';

const id = z.string().min(1).max(256);
const storedId = z.guid();

const STATUSES: ReadonlySet<string> = new Set(deliveryStatus.options);
const statuses = z
  .string()
  .max(256)
  .transform((names) => names.split(','))
  .refine((names): names is DeliveryStatus[] => names.every((name) => STATUSES.has(name)), `one or several, separated by commas, of ${deliveryStatus.options.join(', ')}`)
  .transform((names) => [...new Set(names as DeliveryStatus[])]) // `refine` has seen to it, and does not tell the type
  .describe(`One or several, separated by commas, of ${deliveryStatus.options.join(', ')}`);

export const deliveriesQuery = z.strictObject({
  ...listParameters,
  subscription: id.optional(),
  status: statuses.optional(),
  event_id: id.optional(),
  last_error: text.optional().describe('As a delivery has it: the code of its last attempt, or why it ended without one'),
});
export type DeliveriesQuery = z.output<typeof deliveriesQuery>;

/** Of one event: paged only. */
export const deliveriesOfEventQuery = deliveriesQuery.pick({ page_size: true, page_token: true });
export type DeliveriesOfEventQuery = z.output<typeof deliveriesOfEventQuery>;

const COLUMNS = DELIVERY_COLUMNS.join(', ');

const pageOfDeliveries = async (database: Pick<Database, 'query'>, text: string, parameters: readonly unknown[], size: number): Promise<Page<DeliveryView>> =>
  pageOf(await database.query<DeliveryRow>(text, parameters), size, ({ created_at, id }) => ({ at: created_at, id }), deliveryViewOf);

/** Along one index for each status, as far as the page needs: an index has the rows of a status in their order, those of several it has not. */
const inOrder = (conditions: Conditions, statuses: readonly DeliveryStatus[] | undefined, size: number): string => {
  const limit = conditions.parameter(size + 1);
  const newest = (further: string): string =>
    `select ${COLUMNS} from audit.deliveries where ${conditions.text}${further} order by created_at desc, id desc limit ${limit}`;
  // Written out, as the parameters of a statement prove nothing about the partial indexes.
  const branches = statuses?.map((status) => newest(` and status = '${status}'`)) ?? [newest('')];
  return branches.length === 1
    ? branches.join('')
    : `select * from (${branches.map((branch) => `(${branch})`).join(' union all ')}) found order by created_at desc, id desc limit ${limit}`;
};

const isUndelivered = (statuses: readonly DeliveryStatus[] | undefined): boolean => statuses !== undefined && !statuses.includes('delivered');

/** As one of what was found otherwise. */
const checkStatus = (conditions: Conditions, statuses: readonly DeliveryStatus[] | undefined): Conditions =>
  conditions.add(`(status = any(string_to_array(?, ',')::audit.delivery_status[])) is true`, statuses?.join(','));

/** Deliveries have no index by subject or type; events have, and in the same order. */
const isFoundByEvents = ({ event_id, subscription, event_type, subject, status }: DeliveriesQuery): boolean =>
  event_id === undefined && (subject !== undefined || (event_type !== undefined && subscription === undefined && !isUndelivered(status)));

const listByEvents = (database: Pick<Database, 'query'>, tenant: string, query: DeliveriesQuery): Promise<Page<DeliveryView>> => {
  const { event_type, subject, subscription, status, last_error, page_size } = query;
  const place = placeOf(query, storedId);
  const events = ofSubject(boundedBy(new Conditions().add('tenant = ?', tenant), 'accepted_at', query), subject)
    .add('type = ?', event_type)
    .add('accepted_at <= ?::timestamptz and day <= ?::date', place?.at, place?.at.slice(0, 10));
  const { parameters } = events;
  const theirs = new Conditions(parameters)
    .add('day = event.day and event_id = event.id')
    .check('tenant', tenant)
    .check('subscription_id', subscription)
    .check('last_error', last_error)
    .add('(event.accepted_at, id) < (?::timestamptz, ?::uuid)', place?.at, place?.id);
  checkStatus(theirs, status);
  const limit = theirs.parameter(page_size + 1);
  // `offset 0` keeps the two apart: first the events, one after the other in their order, and the deliveries of each.
  const text = `
    select delivery.* from (select day, id, accepted_at from audit.events where ${events.text}) event
    cross join lateral (select ${COLUMNS} from audit.deliveries where ${theirs.text} offset 0) delivery
    order by event.accepted_at desc, delivery.id desc limit ${limit}`;
  return pageOfDeliveries(database, text, parameters, page_size);
};

const listOfEvent = (database: Pick<Database, 'query'>, tenant: string, query: DeliveriesQuery): Promise<Page<DeliveryView>> => {
  const conditions = listedBetween(new Conditions().add('event_id = ?', query.event_id), 'created_at', query, storedId)
    .check('tenant', tenant)
    .check('subscription_id', query.subscription)
    .check('event_type', query.event_type)
    .check('subject', query.subject)
    .check('last_error', query.last_error);
  checkStatus(conditions, query.status);
  return pageOfDeliveries(database, inOrder(conditions, undefined, query.page_size), conditions.parameters, query.page_size);
};

export const listDeliveries = (database: Pick<Database, 'query'>, tenant: string, query: DeliveriesQuery): Promise<Page<DeliveryView>> => {
  if (query.event_id !== undefined) return listOfEvent(database, tenant, query);
  if (isFoundByEvents(query)) return listByEvents(database, tenant, query);
  const { subscription } = query;
  const led = subscription === undefined ? new Conditions().add('tenant = ?', tenant) : new Conditions().add('subscription_id = ?', subscription).check('tenant', tenant);
  const conditions = listedBetween(led, 'created_at', query, storedId).check('event_type', query.event_type).check('last_error', query.last_error);
  return pageOfDeliveries(database, inOrder(conditions, query.status, query.page_size), conditions.parameters, query.page_size);
};

export const listDeliveriesOfEvent = (
  database: Pick<Database, 'query'>,
  event: { readonly tenant: string; readonly id: string; readonly day: string },
  query: DeliveriesOfEventQuery,
): Promise<Page<DeliveryView>> => {
  const conditions = new Conditions().add('day = ?::date and event_id = ?', event.day, event.id).check('tenant', event.tenant);
  listedBetween(conditions, 'created_at', query, storedId);
  return pageOfDeliveries(database, inOrder(conditions, undefined, query.page_size), conditions.parameters, query.page_size);
};

/** A delivery, and the day under which it and all about it is kept. */
export type FoundDelivery = { readonly day: string; readonly stored: string; readonly row: DeliveryRow };

/** Of an event whose id was used again on a later day: the newest. Undefined when there is none. */
export const findDelivery = async (database: Pick<Database, 'query'>, tenant: string, id: string): Promise<FoundDelivery | undefined> => {
  const stored = storedDeliveryId(id);
  if (stored === undefined) return undefined;
  const [found] = await database.query<DeliveryRow & { readonly day: string }>(
    `select ${COLUMNS}, day::text from audit.deliveries where id = $1::uuid order by day desc limit 1`,
    [stored],
  );
  return found?.tenant === tenant ? { day: found.day, stored, row: found } : undefined;
};
