import { z } from 'zod';
import { attemptErrorCode, outcomeStatus, postponeCause, trigger } from '../records.js';
import { deliveryStatus } from './deliveries.js';
import { timestamp } from './names.js';

export const tailQuery = z.strictObject({
  subscription: z.string().min(1).max(256).optional().describe('Of this one only'),
  status: deliveryStatus.optional().describe('Only what leaves its delivery so; one that is put off is `pending` before the first attempt of its round, then `retrying`'),
});
export type TailQuery = z.output<typeof tailQuery>;

/** Server-Sent Events: who connects again says the `id` that came last. */
export const tailHeaders = z.object({ 'Last-Event-ID': z.string().optional().describe('The last `id` that was told: goes on after it, as far as Kafka still has it') });

const delivery = {
  delivery_id: z.string(),
  event_id: z.string(),
  event_type: z.string(),
  subject: z.string().optional(),
  subscription_id: z.string(),
  round: z.number().int(),
  number: z.number().int(),
  at: timestamp,
};

/** `event: outcome`. Headers and bodies are in the attempt. */
export const tailedOutcome = z
  .object({
    ...delivery,
    subscription_version: z.number().int().optional(),
    trigger,
    status: outcomeStatus,
    next_attempt_at: timestamp.optional(),
    reason: z.string().optional().describe('Why it ended without an attempt'),
    duration_ms: z.number().optional(),
    status_code: z.number().int().optional(),
    error: z.object({ code: attemptErrorCode, message: z.string() }).optional(),
  })
  .meta({ id: 'TailedOutcome' });
export type TailedOutcome = Readonly<z.infer<typeof tailedOutcome>>;

/** `event: postponed` */
export const tailedPostponement = z
  .object({
    ...delivery,
    status: deliveryStatus.extract(['pending', 'retrying']),
    cause: postponeCause,
    until: timestamp.optional(),
    behind: z.string().optional(),
  })
  .meta({ id: 'TailedPostponement' });
export type TailedPostponement = Readonly<z.infer<typeof tailedPostponement>>;

export const missedReason = z.enum(['slow', 'expired', 'too_far']);

/** `event: missed` */
export const tailMissed = z.object({ reason: missedReason, count: z.number().int().optional().describe('With `slow`') }).meta({ id: 'TailMissed' });
export type TailMissed = Readonly<z.infer<typeof tailMissed>>;

/** The data of each event, by its name `outcome`, `postponed` or `missed`. */
export const tailed = z.union([tailedOutcome, tailedPostponement, tailMissed]).meta({ id: 'Tailed' });
