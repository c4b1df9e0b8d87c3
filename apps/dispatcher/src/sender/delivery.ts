import { deliveryId, frame, SCHEMA_HEADER, SCHEMA_VERSION, type Attempt, type Outcome, type RequestedHead } from '@posthorn/contracts';
import type { NextStep } from '@posthorn/domain';
import type { Payload, PayloadFailed, Recipe } from '@posthorn/egress';
import type { IncomingRecord } from '@posthorn/kafka';

/** A record of `deliveries.requested`: one event for one or many subscriptions, done when each of them is. */
export class Request {
  readonly head: RequestedHead;
  readonly #record: IncomingRecord;
  readonly #data: Buffer;
  #open: number;
  readonly #payloads = new Map<string, Payload | PayloadFailed>();

  constructor(record: IncomingRecord, head: RequestedHead, data: Buffer) {
    this.head = head;
    this.#record = record;
    this.#data = data;
    this.#open = head.subscriptions.length;
  }

  get partition(): number {
    return this.#record.partition;
  }

  /** The partition went to another sender, which will make these deliveries. */
  get revoked(): boolean {
    return this.#record.revoked;
  }

  /** Made once for all subscriptions with the same recipe, whatever the fan-out. */
  payload({ key, make }: Recipe): Payload | PayloadFailed {
    let payload = this.#payloads.get(key);
    if (payload === undefined) {
      payload = make(this.head.event, this.#data);
      this.#payloads.set(key, payload);
    }
    return payload;
  }

  /** One of its deliveries has had its whole effect. */
  oneDone(): void {
    this.#open -= 1;
    if (this.#open === 0) this.#record.done();
  }

  /** The next attempt of one of its deliveries, as a record of the delay wheel. */
  retryRecord(subscription: string, dueAtMs: number): { key: string; value: Buffer; headers: Record<string, string> } {
    const head: RequestedHead = {
      ...this.head,
      subscriptions: [subscription],
      number: this.head.number + 1,
      trigger: 'retry',
      due_at: new Date(dueAtMs).toISOString(),
    };
    return { key: subscription, value: frame(head, this.#data, this.head.event.datacontenttype), headers };
  }
}

const headers = { [SCHEMA_HEADER]: SCHEMA_VERSION };

/** What the audit is told, from what was asked for and what came of it. */
export const outcomeOf = (
  { event, round, number, trigger }: RequestedHead,
  subscription: string,
  result: { readonly step: NextStep; readonly attempt: Attempt } | { readonly cancelled: string },
  nowMs: number,
): Outcome => {
  const common = {
    delivery_id: deliveryId(event.tenant, event.id, subscription),
    tenant: event.tenant,
    event_id: event.id,
    event_type: event.type,
    subject: event.subject,
    accepted_at: event.acceptedtime,
    subscription_id: subscription,
    round,
    number,
    trigger,
    at: new Date(nowMs).toISOString(),
  };
  if ('cancelled' in result) return { ...common, status: 'cancelled', reason: result.cancelled };
  const { step, attempt } = result;
  return {
    ...common,
    status: step.status,
    attempt,
    ...(step.status === 'retrying' && { next_attempt_at: new Date(step.dueAtMs).toISOString() }),
  };
};
