import {
  deliveryId,
  frame,
  type AskedRound,
  type Cancellation,
  type DomainEventRecord,
  type Duplicate,
  type Duplicated,
  type Envelope,
  type Outcome,
  type Postponement,
  type Rejection,
  type Routed,
  type TopicName,
} from '@posthorn/contracts';

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

const roundOf = (envelope: Envelope, subscription: string) => ({
  delivery_id: deliveryId(envelope.tenant, envelope.id, subscription),
  tenant: envelope.tenant,
  event_id: envelope.id,
  event_type: envelope.type,
  subject: envelope.subject,
  accepted_at: envelope.acceptedtime,
  subscription_id: subscription,
  round: 0,
});

/** A delivered first attempt, but for what is said otherwise. */
export const outcomeOf = (envelope: Envelope, subscription: string, more: Partial<Outcome> = {}): Outcome => {
  const at = more.at ?? new Date(Date.parse(envelope.acceptedtime) + 20).toISOString();
  return {
    ...roundOf(envelope, subscription),
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

/** The first attempt waits for the rate, but for what is said otherwise. */
export const postponed = (envelope: Envelope, subscription: string, at: string, more: Partial<Postponement> = {}): TestRecord => ({
  topic: 'deliveries.attempted',
  value: Buffer.from(
    JSON.stringify({ outcomes: [], postponed: [{ ...roundOf(envelope, subscription), number: 1, at, cause: 'rate_limit', ...more } satisfies Postponement] }),
  ),
});

export const askedRound = (envelope: Envelope, subscription: string, round: number, at: string, more: Partial<AskedRound> = {}): TestRecord => ({
  topic: 'deliveries.rounds',
  value: Buffer.from(JSON.stringify({ rounds: [{ ...roundOf(envelope, subscription), round, trigger: 'redeliver', at, actor: 'key_1', ...more } satisfies AskedRound] })),
});

export const cancelled = (envelope: Envelope, subscription: string, round: number, at: string): TestRecord => ({
  topic: 'deliveries.cancelled',
  value: Buffer.from(JSON.stringify({ cancellations: [{ ...roundOf(envelope, subscription), round, at, actor: 'key_1' } satisfies Cancellation] })),
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

export const duplicated = (writer: string, ...duplicates: readonly Duplicate[]): TestRecord => ({
  topic: 'events.duplicated',
  value: Buffer.from(JSON.stringify({ writer, duplicates: [...duplicates] } satisfies Duplicated)),
});

/** Of a subscription's stream, at a position of the whole; done at 09:00 by key_owner, but for what is said otherwise. */
export const registryEvent = (subscription: string, position: number, type: string, data: DomainEventRecord['data'] = {}, more: Partial<DomainEventRecord> = {}): TestRecord => ({
  topic: 'registry.log',
  value: Buffer.from(
    JSON.stringify({
      stream: `subscription/${subscription}`,
      version: position,
      position,
      type,
      data,
      actor: 'key_owner',
      at: '2026-11-20T09:00:00.000Z',
      ...more,
    } satisfies DomainEventRecord),
  ),
});
