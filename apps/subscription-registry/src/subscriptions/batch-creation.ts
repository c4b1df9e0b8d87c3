import { setImmediate as nextTurn } from 'node:timers/promises';
import { createSubscriptionBody, type CreatedSubscriptions } from '@posthorn/contracts';
import { parseOrRefuse, Problem } from '@posthorn/service-kit';
import type { Aggregates } from '../aggregates.js';
import type { Requested } from '../requested.js';
import { tenantExists } from '../tenants/tenant-exists.js';
import type { Tenants } from '../tenants/tenants.js';
import type { Written } from '../written.js';
import { createdView, type Creation, type Subscriptions } from './subscriptions.js';

/** Judged and encrypted in one turn of the event loop: a few milliseconds, in which nobody else is answered. */
const AT_ONCE = 25;

/** Makes many subscriptions: each is judged and answered on its own, and all that are good are appended together. */
export class BatchCreation {
  readonly #parts: { readonly aggregates: Aggregates; readonly tenants: Tenants; readonly subscriptions: Subscriptions };

  constructor(parts: { aggregates: Aggregates; tenants: Tenants; subscriptions: Subscriptions }) {
    this.#parts = parts;
  }

  async create(tenant: string, bodies: readonly unknown[], requested: Requested): Promise<Written<CreatedSubscriptions>> {
    const { aggregates, tenants } = this.#parts;
    await tenants.get(tenant);
    const judged: (Creation | Problem)[] = [];
    for (const body of bodies) {
      if (judged.length % AT_ONCE === AT_ONCE - 1) await nextTurn();
      judged.push(this.#judge(tenant, body));
    }
    const creations = judged.filter((each): each is Creation => !(each instanceof Problem));
    return aggregates.changeMany(
      creations.map(({ change }) => change),
      requested,
      {
        guard: tenantExists(tenant),
        answer: (standings) => {
          const made = standings.values();
          return { results: judged.map((each) => (each instanceof Problem ? refused(each) : createdView(made.next().value, each.told))) };
        },
      },
    );
  }

  #judge(tenant: string, body: unknown): Creation | Problem {
    try {
      return this.#parts.subscriptions.creation(tenant, parseOrRefuse(createSubscriptionBody, body));
    } catch (error) {
      if (error instanceof Problem) return error;
      throw error;
    }
  }
}

const refused = ({ code, message, errors }: Problem): CreatedSubscriptions['results'][number] => ({
  error: { code, message, ...(errors && { errors }) },
});
