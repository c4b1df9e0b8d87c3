import { newId, type Encrypted, type Envelope, type SubscriptionState, type TestedAttempt, type TestSubscriptionBody } from '@posthorn/contracts';
import { parsePattern } from '@posthorn/domain';
import { attemptTermsOf, makeAttempt, type HttpSender } from '@posthorn/egress';

export type TestSendingParts = {
  /** Rejects when there is none. */
  readonly find: (target: { readonly tenant: string; readonly id: string }) => Promise<{ readonly state: SubscriptionState }>;
  /** The catalogue's example of a type; undefined when it has none. */
  readonly exampleOf: (tenant: string, eventType: string) => Promise<unknown>;
  readonly decrypt: (secret: Encrypted) => string;
  readonly http: HttpSender;
};

/**
 * Sends an example now, as the sender would send an event: same format, authentication and signature; its filter is not asked. Nobody
 * but the caller hears of it: it is in no history, it is not retried, and a 410 disables nothing. Works for disabled subscriptions
 * too, since whoever has mended a receiver wants to try it first.
 */
export class TestSending {
  readonly #parts: TestSendingParts;

  constructor(parts: TestSendingParts) {
    this.#parts = parts;
  }

  async send(target: { readonly tenant: string; readonly id: string }, { event_type, data }: TestSubscriptionBody): Promise<TestedAttempt> {
    const { decrypt, exampleOf, find, http } = this.#parts;
    const { state } = await find(target);
    const type = event_type ?? exampleTypeOf(state.event_types);
    const content = data === undefined ? ((await exampleOf(state.tenant, type)) ?? DEFAULT_DATA) : data;
    const event = exampleEvent(state.tenant, type);
    const terms = attemptTermsOf(state, decrypt);
    const payload = terms.recipe.make(event, Buffer.from(JSON.stringify(content)));
    const { attempt } = await makeAttempt(http, { eventId: event.id, payload, subscription: terms });
    return { ...attempt, round: 0, number: 1, trigger: 'test' };
  }
}

const DEFAULT_DATA = { test: true };

/** The first type that is asked for by its whole name, else one below the first prefix. */
export const exampleTypeOf = (patterns: readonly string[]): string => {
  const parsed = patterns.map(parsePattern);
  for (const pattern of parsed) if (pattern.kind === 'exact') return pattern.type;
  for (const pattern of parsed) if (pattern.kind === 'below') return `${pattern.prefix}.test`;
  return 'posthorn.test';
};

const exampleEvent = (tenant: string, type: string): Envelope => {
  const now = new Date().toISOString();
  return { specversion: '1.0', id: newId('evt'), tenant, type, source: '/posthorn/test', time: now, acceptedtime: now };
};
