import { z } from 'zod';
import { deliveryView, waiting } from './deliveries.js';
import { disabledReason } from '../records.js';
import { duplicates } from './events.js';
import { timestamp } from './names.js';
import { rejectionReason } from './rejected-events.js';

/** What became of an event for a subscription: a closed list. */
export const explanationResult = z.enum([
  'delivered',
  'failed',
  'cancelled',
  'waiting',
  'under_way',
  'not_routed',
  'type_mismatch',
  'filter_false',
  'filter_failed',
  'filter_budget',
  'disabled',
  'created_after',
  'deleted_before',
  'rejected',
  'deduplicated',
]);
export type ExplanationResult = z.infer<typeof explanationResult>;

const by = z.string().describe('Id of the key, or name of the service, that did it');

/** A part of a filter, as it was evaluated. */
const filterPart = z.object({
  expression: z.string(),
  value: z.unknown().optional(),
  about: z.string().optional().describe('Instead of `value`: in words, where it is too large'),
  error: z.string().optional().describe('Instead of `value`: why it could not be evaluated'),
});

export const explanation = z
  .object({
    event_id: z.string(),
    subscription_id: z.string(),
    result: explanationResult,
    summary: z.string().describe('One sentence for a person; `result` and the members below are for programs'),
    event: z.object({ type: z.string(), accepted_at: timestamp }).optional(),
    position: z.number().int().optional().describe("The registry's, by which it was decided about the event"),
    subscription: z
      .object({ name: z.string(), version: z.number().int(), enabled: z.boolean(), event_types: z.array(z.string()), filter: z.string().optional() })
      .optional()
      .describe('As it was then; absent when there was none'),
    delivery: deliveryView.optional(),
    waiting: waiting.optional(),
    filter: z
      .object({
        expression: z.string(),
        reason: z.string().optional().describe('Why it could not be evaluated'),
        saw: z.array(filterPart).readonly().describe('Its parts in the order in which they were evaluated; what is missing was not, as it was decided already'),
        more: z.number().int().optional().describe('Parts beside these'),
      })
      .optional(),
    disabled: z.object({ reason: disabledReason, by, since: timestamp }).optional(),
    created: z.object({ by, at: timestamp }).optional(),
    deleted: z.object({ by, at: timestamp }).optional(),
    cancelled: z.object({ at: timestamp, by: by.optional(), reason: z.string().optional() }).optional(),
    rejection: rejectionReason.extend({ id: z.string(), rejected_at: timestamp }).optional(),
    duplicates: duplicates.optional(),
  })
  .meta({ id: 'Explanation' });
export type Explanation = Readonly<z.infer<typeof explanation>>;
