import { disabledReason, type DisabledReason, type SubscriptionState } from '@posthorn/contracts';
import { fold, subscription, type SubscriptionCreated, type SubscriptionEvent } from '@posthorn/domain';
import { z } from 'zod';

/** A change to a subscription as the audit keeps it: of its data only what decides who gets an event. Who made it, and when. */
export type ConfigurationChange = {
  readonly version: number;
  /** In the registry as a whole. */
  readonly position: number;
  readonly type: string;
  readonly data: unknown;
  readonly actor: string;
  readonly at: string;
};

/** Who did something, and when. */
export type Deed = { readonly by: string; readonly at: string };

/** A subscription at a moment. */
export type Standing =
  | { readonly kind: 'absent' }
  | { readonly kind: 'there'; readonly version: number; readonly state: SubscriptionState }
  | { readonly kind: 'deleted'; readonly deleted: Deed };

const created = z.object({
  id: z.string(),
  tenant: z.string(),
  name: z.string(),
  event_types: z.array(z.string()),
  filter: z.string().optional(),
  enabled: z.boolean(),
  policy: z.object({ spread: z.int().optional() }).default({}),
});
const updated = z.object({
  name: z.string().optional(),
  event_types: z.array(z.string()).optional(),
  filter: z.string().nullish(),
  policy: z.object({ spread: z.int().nullish() }).optional(),
});
const disabled = z.object({ reason: disabledReason });

/** In the place of what is not kept: nothing that is asked here depends on it. */
const NOT_KEPT = {
  type: 'rest',
  url: '',
  payload: { format: 'standard' },
  authentication: { type: 'none' },
  headers: {},
  policy: { timeout_ms: 0, max_concurrency: 1, ordering: 'none', disable_after_ms: 0 },
  metadata: {},
  signing_secrets: [],
} as const satisfies Partial<SubscriptionCreated['data']>;

/** As the domain has it; undefined when it changes nothing of what is kept. */
const eventOf = ({ type, data, at }: ConfigurationChange): SubscriptionEvent | undefined => {
  switch (type) {
    case 'SubscriptionCreated': {
      const { policy, ...kept } = created.parse(data);
      return { type, data: { ...NOT_KEPT, ...kept, policy: { ...NOT_KEPT.policy, ...policy } }, at };
    }
    case 'SubscriptionUpdated':
      return { type, data: updated.parse(data), at };
    case 'SubscriptionEnabled':
    case 'SubscriptionDeleted':
      return { type, data: {}, at };
    case 'SubscriptionDisabled':
      return { type, data: disabled.parse(data), at };
    default:
      return undefined;
  }
};

const deedOf = ({ actor, at }: ConfigurationChange): Deed => ({ by: actor, at });

/** @param history of one subscription, from its creation on, oldest first */
export const standingAt = (history: readonly ConfigurationChange[], position: number): Standing => {
  const until = history.filter((change) => change.position <= position);
  const last = until.at(-1);
  const state = fold(subscription, until.map(eventOf).filter((event) => event !== undefined));
  if (last === undefined || state.kind === 'absent') return { kind: 'absent' };
  return state.kind === 'deleted' ? { kind: 'deleted', deleted: deedOf(last) } : { kind: 'there', version: last.version, state };
};

/** Its creation. */
export const creationIn = ([first]: readonly ConfigurationChange[]): Deed | undefined => first && deedOf(first);

/** Whose it is, whatever became of it. */
export const tenantOf = ([first]: readonly ConfigurationChange[]): string | undefined =>
  first?.type === 'SubscriptionCreated' ? created.parse(first.data).tenant : undefined;

const disabling = (change: ConfigurationChange): { readonly reason: DisabledReason; readonly by: string; readonly since: string } | undefined => {
  if (change.type === 'SubscriptionDisabled') return { ...disabled.parse(change.data), by: change.actor, since: change.at };
  if (change.type === 'SubscriptionCreated' && !created.parse(change.data).enabled) return { reason: 'by_user', by: change.actor, since: change.at };
  return undefined;
};

/**
 * Who disabled it, as it stood at a position; or next after it: what the router had read of the registry may have been ahead of the position that
 * it states, never behind.
 */
export const disabledAt = (history: readonly ConfigurationChange[], position: number): ReturnType<typeof disabling> => {
  const before = history.findLast((change) => change.position <= position && disabling(change) !== undefined);
  const standing = standingAt(history, position);
  const isStillDisabled = standing.kind === 'there' && !standing.state.enabled;
  const change = isStillDisabled ? before : history.find((change) => change.position > position && disabling(change) !== undefined);
  return change && disabling(change);
};
