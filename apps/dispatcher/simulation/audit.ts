import { deliveryId, SCHEMA_HEADER, SCHEMA_VERSION, type Attempted, type Cancelled, type Envelope } from '@posthorn/contracts';
import type { PlacedRecord } from '@posthorn/kafka/simulation';

/** The latest round of a delivery. */
type Latest = { round: number; hasEnded: boolean; readonly acceptedAt: string };

export const TENANT = 'default';

/** What the history knows of deliveries, and lets users do with them: here it is told of everything at once, and does what is right. */
export class Audit {
  readonly #latest = new Map<string, Latest>();

  requested({ id, acceptedtime: acceptedAt }: Envelope, subscription: string, round: number): void {
    const latest = this.#latest.get(deliveryId(TENANT, id, subscription));
    if (latest === undefined || latest.round < round) this.#latest.set(deliveryId(TENANT, id, subscription), { round, hasEnded: false, acceptedAt });
  }

  attempted({ outcomes }: Attempted): void {
    for (const { delivery_id, round, status } of outcomes) {
      const latest = this.#latest.get(delivery_id);
      if (latest?.round === round && status !== 'retrying') latest.hasEnded = true;
    }
  }

  /** The number of the next round; undefined: it is refused. */
  nextRound(event: string, subscription: string, isForced: boolean): number | undefined {
    const latest = this.#latest.get(deliveryId(TENANT, event, subscription));
    return latest !== undefined && (latest.hasEnded || isForced) ? latest.round + 1 : undefined;
  }

  /** What is written when a user cancels; undefined: there is nothing to be cancelled. */
  cancel(event: string, subscription: string, partition: number, at: string): PlacedRecord | undefined {
    const id = deliveryId(TENANT, event, subscription);
    const latest = this.#latest.get(id);
    if (latest === undefined || latest.hasEnded) return undefined;
    latest.hasEnded = true;
    const cancelled: Cancelled = {
      cancellations: [
        {
          delivery_id: id,
          tenant: TENANT,
          event_id: event,
          event_type: 'invoice.paid',
          accepted_at: latest.acceptedAt,
          subscription_id: subscription,
          round: latest.round,
          at,
          actor: 'key_1',
        },
      ],
    };
    return { topic: 'deliveries.cancelled', partition, value: JSON.stringify(cancelled), headers: { [SCHEMA_HEADER]: SCHEMA_VERSION } };
  }
}
