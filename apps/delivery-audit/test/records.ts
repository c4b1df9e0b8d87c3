import { deliveryId, frame, type Envelope, type Outcome, type Rejection, type Routed, type TopicName } from '@posthorn/contracts';

export type TestRecord = { readonly topic: TopicName; readonly value: Buffer };

export const envelopeOf = (id: string, acceptedtime: string, more: Partial<Envelope> = {}): Envelope => ({
  specversion: '1.0',
  id,
  tenant: 'default',
  type: 'invoice.paid',
  source: '/billing',
  time: acceptedtime,
  acceptedtime,
  ...more,
});

export const accepted = (envelope: Envelope, data: string | Buffer = '{"amount":1}'): TestRecord => ({
  topic: 'events.accepted',
  value: frame(envelope, Buffer.from(data), envelope.datacontenttype),
});

export const routed = ({ id, tenant, type, subject, acceptedtime }: Envelope, subscriptions: readonly string[], more: Partial<Routed> = {}): TestRecord => ({
  topic: 'deliveries.routed',
  value: Buffer.from(
    JSON.stringify({
      event_id: id,
      tenant,
      event_type: type,
      subject,
      accepted_at: acceptedtime,
      position: 1,
      subscriptions: [...subscriptions],
      ...more,
    } satisfies Routed),
  ),
});

/** A delivered first attempt, but for what is said otherwise. */
export const outcomeOf = (envelope: Envelope, subscription: string, more: Partial<Outcome> = {}): Outcome => {
  const at = more.at ?? new Date(Date.parse(envelope.acceptedtime) + 20).toISOString();
  return {
    delivery_id: deliveryId(envelope.tenant, envelope.id, subscription),
    tenant: envelope.tenant,
    event_id: envelope.id,
    event_type: envelope.type,
    subject: envelope.subject,
    accepted_at: envelope.acceptedtime,
    subscription_id: subscription,
    round: 0,
    number: 1,
    trigger: 'first',
    status: 'delivered',
    at,
    attempt: {
      started_at: at,
      duration_ms: 4.25,
      request: { url: 'https://example.com/hook', headers: { 'webhook-id': envelope.id } },
      response: { status: 200, headers: { server: 'x' }, body: 'ok', truncated: false },
    },
    ...more,
  };
};

export const attempted = (...outcomes: readonly Outcome[]): TestRecord => ({
  topic: 'deliveries.attempted',
  value: Buffer.from(JSON.stringify({ outcomes })),
});

/** Of default over REST at 10:00, for its type, but for what is said otherwise. */
export const rejectionOf = (id: string, more: Partial<Rejection> = {}): Rejection => ({
  rejection_id: id,
  reason: { code: 'invalid', message: 'type is required', path: 'type' },
  door: 'rest',
  tenant: 'default',
  rejected_at: '2026-11-20T10:00:00.000Z',
  headers: { 'content-type': 'application/json' },
  ...(more.value_base64 === undefined && { value: '{"data":1.10}' }),
  truncated: false,
  ...more,
});

export const rejected = (rejection: Rejection): TestRecord => ({ topic: 'events.rejected', value: Buffer.from(JSON.stringify(rejection)) });
