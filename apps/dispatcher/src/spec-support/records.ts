import { frame, type Envelope, type RequestedHead, type SubscriptionState } from '@posthorn/contracts';
import type { IncomingRecord } from '@posthorn/kafka';

export const event: Envelope = {
  specversion: '1.0',
  id: 'evt_1',
  tenant: 'default',
  type: 'invoice.paid',
  source: '/spec',
  time: '2026-01-01T00:00:00.000Z',
  acceptedtime: '2026-01-01T00:00:00.000Z',
};

/** Digits and order that would not survive being parsed and written again. */
export const data = Buffer.from('{"b":12345678901234567890,"a":1.0}');

export class FakeRecord implements IncomingRecord {
  readonly partition = 0;
  readonly offset: string;
  readonly key = null;
  readonly timestampMs: number;
  readonly value: Buffer;
  readonly headers: Record<string, Buffer>;
  revoked = false;
  timesDone = 0;

  constructor(
    readonly topic: string,
    head: object,
    { headers = {}, timestampMs = 0, offset = '0', payload = data }: { headers?: Record<string, string>; timestampMs?: number; offset?: string; payload?: Buffer } = {},
  ) {
    this.offset = offset;
    this.timestampMs = timestampMs;
    this.value = frame(head, payload);
    this.headers = Object.fromEntries(Object.entries({ schema: '1', ...headers }).map(([name, text]) => [name, Buffer.from(text)]));
  }

  done(): void {
    this.timesDone += 1;
  }
}

export const requestFor = (subscriptions: string[], rest: Partial<RequestedHead> = {}): RequestedHead => ({
  event,
  subscriptions,
  position: 1,
  round: 0,
  number: 1,
  trigger: 'first',
  ...rest,
});

export const defaultPolicy: SubscriptionState['policy'] = { timeout_ms: 15_000, max_concurrency: 10, ordering: 'none', disable_after_ms: 0 };

export const subscription = (id: string, event_types: string[], rest: Partial<SubscriptionState> = {}): SubscriptionState => ({
  kind: 'subscription',
  id,
  tenant: 'default',
  name: id,
  type: 'rest',
  url: `https://example.com/${id}`,
  event_types,
  enabled: true,
  enabled_since: '2026-01-01T00:00:00.000Z',
  payload: { format: 'standard' },
  authentication: { type: 'none' },
  headers: {},
  policy: defaultPolicy,
  metadata: {},
  signing_secrets: [{ scheme: 'v1', key_id: 'a', ciphertext: '' }],
  created_at: '2026-01-01T00:00:00.000Z',
  updated_at: '2026-01-01T00:00:00.000Z',
  ...rest,
});

/** A promise per call, to be settled by the spec. */
export class Calls<A> {
  readonly made: A[] = [];
  readonly #settle: (() => void)[] = [];

  readonly call = (argument: A): Promise<void> => {
    this.made.push(argument);
    return new Promise((resolve) => void this.#settle.push(resolve));
  };

  async settleAll(): Promise<void> {
    for (const settle of this.#settle.splice(0)) settle();
    await turn();
  }
}

export const turn = (): Promise<void> => new Promise((resolve) => void setImmediate(resolve));
