import { deliveryId, frame, operationId, type Attempt, type Envelope, type Operation, type Outcome, type Postponement, type RequestedHead } from '@posthorn/contracts';
import type { NextStep } from '@posthorn/domain';
import type { Payload, PayloadFailed, Recipe } from '@posthorn/egress';
import type { IncomingRecord } from '@posthorn/kafka';

const NOTHING = Buffer.alloc(0);

/** Bodies kept of one request: each may be a megabyte, and a tenant has as many recipes as it has subscriptions. */
const KEPT_BODY_BYTES = 4 * 1024 * 1024;

const bodyBytes = (payload: Payload | PayloadFailed): number => ('failed' in payload ? 0 : payload.body.length);

/** Where a request has been read: a record of `deliveries.requested`, or what was kept of one. */
export type RequestSource = Pick<IncomingRecord, 'partition' | 'offset' | 'value' | 'revoked' | 'done'>;

/** A record of `deliveries.requested`: one event for one or many subscriptions, done when each of them is. */
export class Request {
  readonly head: RequestedHead;
  #record: RequestSource;
  #data: Buffer;
  #open: number;
  #whenDone: (() => void)[] | undefined;
  /** The one made first is forgotten when there would be too much. */
  readonly #payloads = new Map<string, Payload | PayloadFailed>();
  #keptBytes = 0;
  #isKept = false;

  constructor(record: RequestSource, head: RequestedHead, data: Buffer) {
    this.head = head;
    this.#record = record;
    this.#data = data;
    this.#open = head.subscriptions.length;
  }

  /** What the record takes in memory, as far as that depends on its event. */
  get bytes(): number {
    return this.#record.value?.length ?? 0;
  }

  /** The same for each of its deliveries: the event is in memory once for all of them. */
  get bytesEach(): number {
    return this.bytes / this.head.subscriptions.length;
  }

  get partition(): number {
    return this.#record.partition;
  }

  get offset(): number {
    return Number(this.#record.offset);
  }

  /** As it was read: head and data in their frame. */
  get value(): Buffer {
    return this.#record.value ?? NOTHING;
  }

  /** The partition went to another sender, which will make these deliveries. */
  get revoked(): boolean {
    return this.#record.revoked;
  }

  /** Made once for all subscriptions with the same recipe, whatever the fan-out; unless the recipes are so many that not all bodies can be kept. */
  payload({ key, make }: Recipe): Payload | PayloadFailed {
    const known = this.#payloads.get(key);
    if (known !== undefined) return known;
    const payload = make(this.head.event, this.#data);
    this.#payloads.set(key, payload);
    this.#keptBytes += bodyBytes(payload);
    for (const [first, kept] of this.#payloads) {
      if (this.#keptBytes <= KEPT_BODY_BYTES) break;
      this.#payloads.delete(first);
      this.#keptBytes -= bodyBytes(kept);
    }
    return payload;
  }

  /** One of its deliveries has had its whole effect. */
  oneDone(): void {
    this.#open -= 1;
    if (this.#open > 0) return;
    this.#record.done();
    for (const run of this.#whenDone ?? []) run();
  }

  get isDone(): boolean {
    return this.#open === 0;
  }

  /** One of its deliveries is still to be attempted, though its record need not wait for that. */
  keep(): void {
    this.#isKept = true;
  }

  /** When it is done: whoever has to remember it for a while longer needs no more than its head. */
  letGo(): void {
    if (this.#isKept) return;
    const { partition, offset, revoked } = this.#record;
    this.#record = { partition, offset, revoked, value: null, done: () => undefined };
    this.#data = NOTHING;
    this.#payloads.clear();
    this.#keptBytes = 0;
  }

  /** Runs it when the record is done for all of its subscriptions; at once if it is. */
  whenDone(run: () => void): void {
    if (this.#open === 0) run();
    else (this.#whenDone ??= []).push(run);
  }

  /** The next attempt of one of its deliveries, as a record of the delay wheel. @param span of the attempt before it */
  retryRecord(subscription: string, dueAtMs: number, span: string | undefined): DelayedRecord {
    const { reserved: _, ...head } = this.head;
    // A round that was asked for has no span above its first attempt's.
    const traceparent = head.traceparent ?? (head.round > 0 ? span : undefined);
    return this.#delayed({ ...head, number: head.number + 1, trigger: 'retry', traceparent, retry_of: span }, subscription, dueAtMs);
  }

  /** The same attempt of one of its deliveries, at the place that its lane has set aside for it, as a record of the delay wheel. */
  postponedRecord(subscription: string, dueAtMs: number): DelayedRecord {
    return this.#delayed({ ...this.head, reserved: true }, subscription, dueAtMs);
  }

  /** One of its deliveries, to be sent without order, as a record of the delay wheel. */
  plainRecord(subscription: string, dueAtMs: number): DelayedRecord {
    const { reserved: _, ...head } = this.head;
    return this.#delayed(head, subscription, dueAtMs);
  }

  /** What it would ask for as another attempt. */
  headAs(number: number): RequestedHead {
    return number === this.head.number ? this.head : { ...this.head, number, trigger: 'retry' };
  }

  #delayed(head: RequestedHead, subscription: string, dueAtMs: number): DelayedRecord {
    const delayed: RequestedHead = { ...head, subscriptions: [subscription], due_at: new Date(dueAtMs).toISOString() };
    const data = this.#data;
    return { key: subscription, bytes: this.bytes, value: () => frame(delayed, data, head.event.datacontenttype) };
  }
}

/** What waits in the delay wheel, by its subscription; `value` copies the event, which has about so many bytes. */
export type DelayedRecord = { readonly key: string; readonly bytes: number; readonly value: () => Buffer };

/** Which attempt of which delivery, whoever tells of it. */
const attemptNamed = ({ event, round, number }: RequestedHead, subscription: string, nowMs: number) => ({
  delivery_id: deliveryId(event.tenant, event.id, subscription),
  tenant: event.tenant,
  event_id: event.id,
  event_type: event.type,
  subject: event.subject,
  accepted_at: event.acceptedtime,
  subscription_id: subscription,
  round,
  number,
  at: new Date(nowMs).toISOString(),
});

const DAY_LENGTH = 'yyyy-mm-dd'.length;

/**
 * What an event is called among those that have had its id: with the UTC day of its acceptance, as in the audit's keys. Ids are known for a
 * day or so; what comes under one of them later is another event, and its deliveries have the same ids as the first one's.
 */
export const dayOf = ({ acceptedtime }: Pick<Envelope, 'acceptedtime'>): string => acceptedtime.slice(0, DAY_LENGTH);

/** A delivery by its id and the day of its event. */
export const deliveryOfDay = (delivery: string, day: string): string => `${delivery}/${day}`;

/** The id of a delivery, with or without a day. */
export const idOfDelivery = (delivery: string): string => delivery.split('/', 1)[0] ?? delivery;

/** A subscription as it was when it was sent to; without a version when there is none. */
export type Addressee = { readonly id: string; readonly version: number | undefined };

/** What the audit is told, from what was asked for and what came of it. */
export const outcomeOf = (
  head: RequestedHead,
  { id, version }: Addressee,
  result: ({ readonly step: NextStep; readonly attempt: Attempt } | { readonly cancelled: string; readonly attempt?: Attempt } | { readonly failed: string }) & {
    readonly traceparent?: string | undefined;
  },
  nowMs: number,
): Outcome => {
  const common = { ...attemptNamed(head, id, nowMs), trigger: head.trigger, subscription_version: version, traceparent: result.traceparent };
  if ('cancelled' in result) return { ...common, status: 'cancelled', reason: result.cancelled, ...(result.attempt && { attempt: result.attempt }) };
  if ('failed' in result) return { ...common, status: 'failed', reason: result.failed };
  const { step, attempt } = result;
  return {
    ...common,
    status: step.status,
    attempt,
    ...(step.status === 'retrying' && { next_attempt_at: new Date(step.dueAtMs).toISOString() }),
  };
};

/** What the audit is told when an attempt that is still to be made has to wait, though nothing has failed. */
export const postponementOf = (
  head: RequestedHead,
  subscription: string,
  { untilMs, ...why }: Pick<Postponement, 'cause' | 'behind'> & { readonly untilMs?: number },
  nowMs: number,
): Postponement => ({
  ...attemptNamed(head, subscription, nowMs),
  ...(untilMs !== undefined && { until: new Date(untilMs).toISOString() }),
  ...why,
});

/** What operators are told of it: a delivery that has failed for good, once a round. */
export const failureToTell = (outcome: Outcome): Operation | undefined => {
  const { status, delivery_id, tenant, subscription_id, event_id, event_type, round, number, at, attempt, reason } = outcome;
  if (status !== 'failed') return undefined;
  return {
    id: operationId(delivery_id, round),
    type: 'delivery.failed',
    tenant,
    subject: delivery_id,
    time: at,
    data: { subscription_id, event_id, event_type, round, attempts: attempt === undefined ? number - 1 : number, error: attempt?.error, reason },
  };
};
