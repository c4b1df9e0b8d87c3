import { z } from 'zod';
import { attempt, outcomeStatus, postponeCause, trigger } from '../records.js';
import { timestamp } from './names.js';

export const deliveryStatus = z.enum(['pending', 'retrying', 'delivered', 'failed', 'cancelled']);
export type DeliveryStatus = z.infer<typeof deliveryStatus>;

/** Why a delivery waits for its next attempt: as a postponement has it, or because the one before failed. */
export const waitingCause = z.enum([...postponeCause.options, 'retry']);
export type WaitingCause = z.infer<typeof waitingCause>;

export const waiting = z
  .object({
    cause: waitingCause,
    since: timestamp,
    until: timestamp.optional().describe('When the next attempt is due; absent while it waits for another delivery'),
    behind: z.string().optional().describe('With `ordered`: the delivery that came before it under its key'),
  })
  .meta({ id: 'Waiting' });
export type Waiting = Readonly<z.infer<typeof waiting>>;

export const deliveryView = z
  .object({
    id: z.string(),
    tenant: z.string(),
    event_id: z.string(),
    event_type: z.string(),
    subscription_id: z.string(),
    status: deliveryStatus,
    round: z.number().int().describe('The latest: 0 is the first sending, each redelivery or replay is one more'),
    attempts: z.number().int().describe('Requests made, in all rounds'),
    next_attempt_at: timestamp.optional(),
    waiting: waiting.optional(),
    last_status_code: z.number().int().optional(),
    last_error: z.string().optional(),
    created_at: timestamp.describe('When the event was accepted'),
    finished_at: timestamp.optional(),
  })
  .meta({ id: 'Delivery' });
export type DeliveryView = Readonly<z.infer<typeof deliveryView>>;

/** That somebody asked for a delivery again. */
const askedRound = z.object({
  round: z.number().int(),
  trigger: trigger.extract(['redeliver', 'replay']),
  at: timestamp,
  actor: z.string().describe('Id of the key that asked'),
  replay_id: z.string().optional(),
  forced: z.literal(true).optional().describe('Although the round before was under way'),
});

/** Rounds shown with a delivery; its timeline has all. */
export const MOST_SHOWN_ROUNDS = 100;

export const wholeDelivery = deliveryView
  .extend({ rounds: z.array(askedRound).readonly().describe(`That were asked for, the newest ${MOST_SHOWN_ROUNDS}, oldest first`) })
  .meta({ id: 'DeliveryWithRounds' });
export type WholeDeliveryView = Readonly<z.infer<typeof wholeDelivery>>;

/** An attempt as the history shows it. */
export const attemptView = attempt
  .extend({
    round: z.number().int(),
    number: z.number().int(),
    trigger,
    subscription_version: z.number().int().optional().describe("Of the subscription's configuration that it was made by"),
  })
  .meta({ id: 'Attempt' });
export type AttemptView = Readonly<z.infer<typeof attemptView>>;

const inRound = { at: timestamp, round: z.number().int() };

/** What happened to a delivery. */
export const timelineEntry = z
  .discriminatedUnion('kind', [
    z.object({ kind: z.literal('accepted'), at: timestamp }).describe('The event'),
    z
      .object({
        kind: z.literal('routed'),
        at: timestamp.describe('That of the acceptance, which it follows within milliseconds'),
        position: z.number().int().describe("The registry's, by which it was decided"),
      })
      .describe('The subscription matched'),
    askedRound.extend({ kind: z.literal('asked_for') }),
    z.object({
      kind: z.literal('attempt'),
      ...inRound,
      number: z.number().int(),
      trigger,
      status: outcomeStatus.describe('Where the delivery stood after it'),
      duration_ms: z.number(),
      status_code: z.number().int().optional(),
      error_code: z.string().optional(),
      subscription_version: z.number().int().optional(),
    }),
    z
      .object({ kind: z.literal('postponed'), ...inRound, number: z.number().int(), cause: postponeCause, until: timestamp.optional(), behind: z.string().optional() })
      .describe('Of several the last: the attempt, still to be made, was put off'),
    z.object({ kind: z.literal('cancellation_asked_for'), ...inRound, actor: z.string() }),
    z
      .object({ kind: z.literal('ended'), ...inRound, status: deliveryStatus.extract(['delivered', 'failed', 'cancelled']), reason: z.string().optional() })
      .describe('The latest round'),
  ])
  .meta({ id: 'TimelineEntry' });
export type TimelineEntry = Readonly<z.infer<typeof timelineEntry>>;
