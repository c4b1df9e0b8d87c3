import type { DeliveryStatus } from '@posthorn/contracts';
import type { ReplayWish } from '@posthorn/domain';

/** What has been looked at last. Events of one moment, and their deliveries, come in the order of their ids. */
export type Reached = { readonly at: string; readonly id: string };

/** Before the first. */
export const beginningOf = ({ from }: Pick<ReplayWish, 'from'>): Reached => ({ at: from, id: '' });

/** A delivery, or an event, that is looked at. */
export type LookedRow = {
  readonly day: string;
  readonly at: Date;
  readonly place: string;
  readonly event_id: string;
  readonly event_type: string;
  readonly subject: string | null;
  /** Of the delivery; null for an event. */
  readonly subscription_id: string | null;
  /** Whether the event is still kept, and how large its data is. */
  readonly is_kept: boolean;
  readonly bytes: number;
};

const NO_DELIVERY = '00000000000000000000000000000000';

/**
 * What is looked at:
 *
 * - `deliveries`: each, to be sent to its own subscription again.
 * - `events_of_deliveries`: those that have such deliveries, to be sent to one subscription. A row per delivery; those of one event lie side by side.
 * - `events`: all, to be sent to one subscription.
 */
export type Source = 'deliveries' | 'events_of_deliveries' | 'events';

export const sourceOf = ({ statuses, subscription, to_subscription }: ReplayWish): Source => {
  if (to_subscription === undefined) return 'deliveries';
  return statuses === undefined && subscription === undefined ? 'events' : 'events_of_deliveries';
};

export type Selection = { readonly sql: string; readonly parameters: readonly unknown[] };

const DAY_LENGTH = 'yyyy-mm-dd'.length;

/** Of a time: the columns that the rows of either table have in common. `$4` to `$6` are the time, `$7` and `$8` what was reached. */
const between = (at: string, place: string, type: string): string =>
  `tenant = $1 and day between $2::date and $3::date and ${at} >= $5::timestamptz and ${at} < $4::timestamptz and (${at}, ${place}) > ($5::timestamptz, $6${type})`;

const EVENTS = `
  select day::text as day, accepted_at as at, id as place, id as event_id, type as event_type, subject, null as subscription_id, true as is_kept, octet_length(data) as bytes
    from audit.events where ${between('accepted_at', 'id', '')}
   order by accepted_at, id limit $7`;

/** Said in the words of the partial indexes, for their sake. A status is one of a closed list, no text of a user's. */
const withStatus = (status: DeliveryStatus): string => `and status = '${status}'${status === 'delivered' ? '' : " and status <> 'delivered'"}`;

/** An index has the rows of one status in their order, not those of several: each is asked for its first, and the first of these are taken. */
const deliveriesFrom = (place: 'id' | 'event_id', { statuses, subscription }: ReplayWish): string => {
  const one = (condition: string): string => `(
    select day, created_at, id, event_id, event_type, subject, subscription_id from audit.deliveries
     where ${between('created_at', place, place === 'id' ? '::uuid' : '')} ${subscription === undefined ? '' : 'and subscription_id = $8'} ${condition}
     order by created_at, ${place} limit $7)`;
  return `
    select looked.day::text as day, created_at as at, ${place === 'id' ? "replace(looked.id::text, '-', '')" : 'event_id'} as place, event_id, event_type,
           looked.subject, subscription_id, event.id is not null as is_kept, coalesce(octet_length(event.data), 0) as bytes
      from (select * from (${(statuses ?? [undefined]).map((status) => one(status === undefined ? '' : withStatus(status))).join(' union all ')}) as found
             order by created_at, ${place} limit $7) as looked
      left join audit.events event on event.tenant = $1 and event.id = looked.event_id and event.day = looked.day
     order by created_at, ${place === 'id' ? 'looked.id' : place}`;
};

/** The next rows to be looked at, at most so many, in their order. */
export const nextRows = (tenant: string, wish: ReplayWish, { at, id }: Reached, most: number): Selection => {
  const source = sourceOf(wish);
  const place = source === 'deliveries' && id === '' ? NO_DELIVERY : id;
  const parameters = [tenant, at.slice(0, DAY_LENGTH), wish.to.slice(0, DAY_LENGTH), wish.to, at, place, most];
  if (source === 'events') return { sql: EVENTS, parameters };
  const ofSubscription = wish.subscription === undefined ? [] : [wish.subscription];
  return { sql: deliveriesFrom(source === 'deliveries' ? 'id' : 'event_id', wish), parameters: [...parameters, ...ofSubscription] };
};
