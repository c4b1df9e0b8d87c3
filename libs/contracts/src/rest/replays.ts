import { z } from 'zod';
import { deliveryStatus } from './deliveries.js';
import { eventTypePattern, timeInUtc, timestamp } from './names.js';
import { pageQuery } from './pages.js';

const id = z.string().regex(/^[\x21-\x7e]{1,256}$/, 'an id');

/** `POST …/deliveries/{id}/redeliver`; may be left out. */
export const redeliverBody = z
  .strictObject({ force: z.boolean().default(false).describe('Also while it is under way: the subscriber may get it twice') })
  .prefault({})
  .meta({ id: 'Redeliver' });
export type RedeliverBody = z.output<typeof redeliverBody>;

export const replayLimits = {
  /** That are running or paused, of one tenant. */
  open: 5,
  eventTypes: 100,
  /** Deliveries in a second. */
  rate: 100_000,
} as const;

const isWithoutRepetition = (values: readonly unknown[]): boolean => new Set(values).size === values.length;

const wish = {
  from: timeInUtc.describe('Of the acceptance of the event, inclusive'),
  to: timeInUtc.describe('Exclusive'),
  event_types: z.array(eventTypePattern).min(1).max(replayLimits.eventTypes).optional().describe('All unless given'),
  statuses: z
    .array(deliveryStatus)
    .min(1)
    .refine(isWithoutRepetition, 'each once')
    .optional()
    .describe('Of the deliveries as they stand when their turn comes; all unless given. Those under way are skipped in any case, but by force'),
  subscription: id.optional().describe('Only its deliveries'),
  to_subscription: id
    .optional()
    .describe('Send each event once to this subscription, instead of each delivery to its own: those that its event types and its filter ask for, also such as nobody got'),
  rate: z.int().min(1).max(replayLimits.rate).optional().describe('Deliveries in a second, at most'),
};

/** `POST …/replays` */
export const replayBody = z
  .strictObject({
    ...wish,
    force: z.boolean().default(false).describe('Also those under way: the subscriber may get them twice'),
    dry_run: z.boolean().default(false).describe('Only tell what would be sent'),
  })
  .refine(({ from, to }) => Date.parse(from) < Date.parse(to), { path: ['to'], message: 'must be after from' })
  .meta({ id: 'NewReplay' });
export type ReplayBody = z.output<typeof replayBody>;

export const replayStatus = z.enum(['running', 'paused', 'done', 'cancelled', 'failed']);

const counts = {
  matched: z.int().describe('Looked at so far and meant: the sum of the following'),
  done: z.int().describe('Asked for'),
  skipped: z.int().describe('Were under way'),
  filtered: z.int().describe('With `to_subscription`: it does not ask for such events, by their type or its filter'),
  disabled: z.int().describe('Their subscription is disabled or deleted'),
  expired: z.int().describe('Their event is no longer kept'),
};

export const replayView = z
  .object({
    id: z.string(),
    tenant: z.string(),
    status: replayStatus,
    failure: z.enum(['subscription_disabled', 'subscription_deleted']).optional().describe('Why it is `failed`: of `to_subscription`'),
    ...wish,
    force: z.boolean(),
    ...counts,
    reached: timestamp.optional().describe('What was accepted before that has been looked at; it goes from `from` to `to`'),
    actor: z.string().describe('Id of the key that asked'),
    created_at: timestamp,
    updated_at: timestamp,
    finished_at: timestamp.optional(),
  })
  .meta({ id: 'Replay' });
export type ReplayView = Readonly<z.infer<typeof replayView>>;

export const wholeReplay = replayView
  .extend({
    history: z
      .array(z.object({ type: z.string().describe('As in `ReplayPaused`'), at: timestamp, actor: z.string().describe('Id of the key, or the service, that did it') }))
      .describe('Who did what, oldest first; of many, the last hundred'),
  })
  .meta({ id: 'WholeReplay' });
export type WholeReplay = Readonly<z.infer<typeof wholeReplay>>;

export const dryRun = z
  .object({
    status: z.literal('dry_run'),
    ...counts,
    at_least: z.boolean().describe('There is more than can be looked at in passing'),
    sample: z
      .array(z.object({ event_id: z.string(), event_type: z.string(), accepted_at: timestamp, subscription_id: z.string(), delivery_id: z.string() }))
      .describe('The first that would be sent'),
  })
  .meta({ id: 'DryRun' });
export type DryRun = Readonly<z.infer<typeof dryRun>>;

export const createdReplay = z.union([replayView, dryRun]);
export type CreatedReplay = z.infer<typeof createdReplay>;

export const replaysQuery = z.strictObject({ ...pageQuery, status: replayStatus.optional() });
export type ReplaysQuery = z.output<typeof replaysQuery>;
