import type { Attempted, DeliveryStatus, Outcome, Postponement, TailedOutcome, TailedPostponement } from '@posthorn/contracts';

export type Told = { readonly kind: 'outcome'; readonly view: TailedOutcome } | { readonly kind: 'postponed'; readonly view: TailedPostponement };

/** One thing that happened to a delivery. */
export class News {
  #text: string | undefined;

  constructor(
    readonly tenant: string,
    readonly subscription: string,
    readonly told: Told,
  ) {}

  /** Where the delivery stands after it. */
  get status(): DeliveryStatus {
    return this.told.view.status;
  }

  /** The view as JSON: made once for all who watch, if anybody does. */
  get text(): string {
    return (this.#text ??= JSON.stringify(this.told.view));
  }
}

/** As our own services write a tenant. Within a text of a stranger's, as in a response's body, its quotes have backslashes before them. */
const TENANT = Buffer.from('"tenant":"');
const QUOTE = 0x22;

/**
 * Whether a record of `deliveries.attempted` says anything of one of these tenants. Looks at its bytes: most records need not be parsed for
 * the few tenants that somebody watches. One pass, however many these are.
 */
export const mentionsAny = (value: Buffer, tenants: { has(tenant: string): boolean }): boolean => {
  for (let at = value.indexOf(TENANT); at >= 0; at = value.indexOf(TENANT, at)) {
    at += TENANT.length;
    if (tenants.has(value.toString('latin1', at, value.indexOf(QUOTE, at)))) return true;
  }
  return false;
};

const ofDelivery = ({ delivery_id, event_id, event_type, subject, subscription_id, round, number, at }: Outcome | Postponement) => ({
  delivery_id,
  event_id,
  event_type,
  subject,
  subscription_id,
  round,
  number,
  at,
});

const outcomeView = (outcome: Outcome): TailedOutcome => {
  const { subscription_version, trigger, status, next_attempt_at, reason, attempt } = outcome;
  return {
    ...ofDelivery(outcome),
    subscription_version,
    trigger,
    status,
    next_attempt_at,
    reason,
    duration_ms: attempt?.duration_ms,
    status_code: attempt?.response?.status,
    error: attempt?.error,
  };
};

const postponementView = (postponement: Postponement): TailedPostponement => {
  const { number, cause, until, behind } = postponement;
  return { ...ofDelivery(postponement), status: number === 1 ? 'pending' : 'retrying', cause, until, behind };
};

/**
 * All that a record of `deliveries.attempted` tells, in its order.
 * @throws {SyntaxError | TypeError} when it is no such record
 */
export const newsOf = (value: Buffer): readonly News[] => {
  const { outcomes, postponed = [] } = JSON.parse(value.toString()) as Attempted;
  return [
    ...outcomes.map((outcome) => new News(outcome.tenant, outcome.subscription_id, { kind: 'outcome', view: outcomeView(outcome) })),
    ...postponed.map(
      (postponement) => new News(postponement.tenant, postponement.subscription_id, { kind: 'postponed', view: postponementView(postponement) }),
    ),
  ];
};
