import { deliveryId, unframe, type RequestedHead } from '@posthorn/contracts';
import { hash } from 'node:crypto';
import { dayOf, deliveryOfDay, Request } from '../delivery.js';
import { AT_ONCE, type Place, type Row, type StoredRecord, type StoredRow } from './backlog.js';
import type { Later } from './keyed-queues.js';

/** A delivery whose subscription is served in order. */
export type OrderedDelivery = {
  readonly request: Request;
  readonly subscription: string;
  /** See `orderingKeyOf`. */
  readonly key: string;
  /** Of the subscription, among those of the record. */
  readonly index: number;
  /** Where its row is, if it came out of the backlog. */
  readonly place?: Place;
};

const LONGEST_KEY = 64;

/** What stands for a `partitionkey` in memory and in the backlog: itself, or its hash if it is long, or nothing that PostgreSQL holds. */
export const orderingKeyOf = (partitionkey: string): string =>
  partitionkey.length <= LONGEST_KEY && partitionkey.isWellFormed() && !partitionkey.includes('\0')
    ? partitionkey
    : `sha256:${hash('sha256', partitionkey, 'base64url')}`;

/** A UUID made of what the record is and where it stands. */
const recordIdOf = ({ partition, offset, head: { event, round, number } }: Request): string =>
  hash('sha256', [partition, offset, event.tenant, event.id, round, number].join('\0'), 'hex')
    .slice(0, 32)
    .replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-');

const recordIds = new WeakMap<Request, string>();

const idOf = (request: Request): string => {
  let id = recordIds.get(request);
  if (id === undefined) {
    id = recordIdOf(request);
    recordIds.set(request, id);
  }
  return id;
};

export const placeOf = ({ request, index, place }: OrderedDelivery): Place => place ?? { record: idOf(request), offset: request.offset, index };

export const recordOf = ({ request }: OrderedDelivery): StoredRecord => ({
  id: idOf(request),
  offset: request.offset,
  position: request.head.position,
  value: request.value,
});

/** How a delivery stands when its row is written. */
export type Standing = 'ended' | 'follows' | 'under way' | Later;

export const rowOf = (delivery: OrderedDelivery, standing: Standing): Row => {
  const { request, subscription, key } = delivery;
  const { event, round, number, reserved } = request.head;
  const later = typeof standing === 'object' ? standing : undefined;
  return {
    ...placeOf(delivery),
    subscription,
    key,
    delivery: deliveryOfDay(deliveryId(event.tenant, event.id, subscription), dayOf(event)),
    round,
    number: later?.number ?? number,
    isReserved: later?.isReserved ?? reserved === true,
    dueAtMs: later?.dueAtMs ?? (standing === 'under way' ? AT_ONCE : undefined),
    isEnded: standing === 'ended',
  };
};

/** @param isRevoked whether the partition has another sender by now */
export const deliveryOf = (row: StoredRow, partition: number, isRevoked: () => boolean): OrderedDelivery => {
  const { head: stored, data } = unframe<RequestedHead>(row.value);
  const { reserved: _reserved, due_at: _due, ...rest } = stored;
  const head: RequestedHead = {
    ...rest,
    subscriptions: [row.subscription],
    number: row.number,
    trigger: row.number > stored.number ? 'retry' : stored.trigger,
    ...(row.isReserved && { reserved: true as const }),
  };
  const source = {
    partition,
    offset: String(row.offset),
    value: row.value,
    get revoked() {
      return isRevoked();
    },
    // Nothing in Kafka has to be done: the row is what counts.
    done: () => undefined,
  };
  const { subscription, key, record, offset, index } = row;
  return { request: new Request(source, head, data), subscription, key, index, place: { record, offset, index } };
};
