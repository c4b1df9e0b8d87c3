import { deliveryId, type Cancelled } from '@posthorn/contracts';
import { Cancellations, type CancellationsParts } from '../sender/cancelling/cancellations.js';

export const KEEP_MS = 1_000_000;

/** A record of `deliveries.cancelled` as the audit writes it. */
export const cancelledRecord = (event: string, { subscription = 'sub_a', round = 0, atMs = 0 } = {}) => {
  const cancelled: Cancelled = {
    cancellations: [
      {
        delivery_id: deliveryId('default', event, subscription),
        tenant: 'default',
        event_id: event,
        event_type: 'invoice.paid',
        accepted_at: '2026-01-01T00:00:00.000Z',
        subscription_id: subscription,
        round,
        at: new Date(atMs).toISOString(),
        actor: 'key_1',
      },
    ],
  };
  return { headers: { schema: Buffer.from('1') }, value: Buffer.from(JSON.stringify(cancelled)) };
};

/** What users cancel, as a spec says, read as soon as it is there. */
export const cancelling = (parts: Partial<CancellationsParts> = {}) => {
  const cancellations = new Cancellations({
    readToEnd: async () => undefined,
    keepMs: KEEP_MS,
    nowMs: () => 0,
    setTimer: () => () => undefined,
    onForgotten: () => undefined,
    fatal: (error) => {
      throw error;
    },
    ...parts,
  });
  const cancel = (event: string, of: Parameters<typeof cancelledRecord>[1] = {}): void => cancellations.onRecord(cancelledRecord(event, of));
  return { cancellations, cancel };
};
