import type { Missed, SubscriptionState } from '@posthorn/contracts';
import { z } from 'zod';

export type MissedDeliveriesParts = {
  readonly auditUrl: string;
  /** A token with the right to read this tenant's audit. */
  readonly tokenFor: (tenant: string) => Promise<string>;
  readonly log: { info(fields: object, message: string): void };
  readonly timeoutMs?: number;
};

/** Whoever enables a subscription waits for it. */
const TIMEOUT_MS = 2_000;

const count = z.object({ deliveries: z.number().int(), at_least: z.boolean() });

/** Asks the delivery audit what a subscription was not told while it was disabled. */
export class MissedDeliveries {
  readonly #parts: MissedDeliveriesParts;

  constructor(parts: MissedDeliveriesParts) {
    this.#parts = parts;
  }

  /** Undefined when it cannot be told now: enabling does not depend on it. */
  async of({ id, tenant, event_types, disabled_at: from }: SubscriptionState): Promise<Missed | undefined> {
    if (from === undefined) return undefined;
    const to = new Date().toISOString();
    try {
      const counted = await this.#count(tenant, { from, to, event_types: event_types.join() });
      const body = { from, to, event_types, to_subscription: id };
      return { from, to, ...counted, replay: { method: 'POST', path: `/v1/tenants/${tenant}/replays`, body } };
    } catch (err) {
      this.#parts.log.info({ err }, 'the audit did not tell what was missed');
      return undefined;
    }
  }

  async #count(tenant: string, query: Readonly<Record<string, string>>): Promise<z.infer<typeof count>> {
    const { auditUrl, tokenFor, timeoutMs = TIMEOUT_MS } = this.#parts;
    const url = new URL(`/v1/tenants/${tenant}/stats/missed?${new URLSearchParams(query).toString()}`, auditUrl);
    const headers = { authorization: `Bearer ${await tokenFor(tenant)}` };
    const response = await fetch(url, { headers, redirect: 'error', signal: AbortSignal.timeout(timeoutMs) });
    if (!response.ok) throw new Error(`the audit answers ${response.status}`);
    return count.parse(await response.json());
  }
}
