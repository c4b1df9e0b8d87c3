import type { Outcome } from '@posthorn/contracts';

type Seen = { readonly atMs: number; readonly delivery: string };

/** What a batch of outcomes says about one subscription. */
export type Sign = {
  /** The last success. */
  readonly succeededAtMs?: number | undefined;
  /** The failures after it. */
  readonly failing?: { readonly sinceMs: number; readonly last: Seen } | undefined;
  /** The last answer 410, whatever came after it. */
  readonly gone?: Seen | undefined;
};

type Observation = Seen & { readonly kind: 'success' | 'failure' | 'gone' };

const GONE = 410;

/**
 * Undefined for an outcome that says nothing about the subscriber: one that was cancelled, or a test. It was observed when its request
 * began: what was sent to another URL, or before the subscription was enabled again, must not speak against it because it ended later.
 */
const observationOf = ({ status, trigger, at, attempt, delivery_id }: Outcome): Observation | undefined => {
  if (status === 'cancelled' || trigger === 'test') return undefined;
  const seen = { atMs: Date.parse(attempt?.started_at ?? at), delivery: delivery_id };
  if (status === 'delivered') return { ...seen, kind: 'success' };
  return { ...seen, kind: attempt?.response?.status === GONE ? 'gone' : 'failure' };
};

const withObservation = (sign: Sign, { kind, atMs, delivery }: Observation): Sign => {
  if (kind === 'success') return { ...sign, succeededAtMs: atMs, failing: undefined };
  const seen = { atMs, delivery };
  return { ...sign, failing: { sinceMs: sign.failing?.sinceMs ?? atMs, last: seen }, ...(kind === 'gone' && { gone: seen }) };
};

/** By subscription; in the order of the requests, which may have ended in another. */
export const signsOf = (outcomes: Iterable<Outcome>): ReadonlyMap<string, Sign> => {
  const observed = new Map<string, Observation[]>();
  for (const outcome of outcomes) {
    const observation = observationOf(outcome);
    if (observation === undefined) continue;
    const before = observed.get(outcome.subscription_id);
    if (before) before.push(observation);
    else observed.set(outcome.subscription_id, [observation]);
  }
  return new Map(
    [...observed].map(([subscription, observations]) => [
      subscription,
      observations.sort((a, b) => a.atMs - b.atMs).reduce(withObservation, {}),
    ]),
  );
};
