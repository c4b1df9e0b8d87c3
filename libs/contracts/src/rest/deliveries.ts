import { z } from 'zod';
import { attempt, trigger } from '../records.js';
import { timestamp } from './names.js';

export const deliveryStatus = z.enum(['pending', 'retrying', 'delivered', 'failed', 'cancelled']);
export type DeliveryStatus = z.infer<typeof deliveryStatus>;

export const deliveryView = z
  .object({
    id: z.string(),
    tenant: z.string(),
    event_id: z.string(),
    event_type: z.string(),
    subscription_id: z.string(),
    status: deliveryStatus,
    attempts: z.number().int(),
    next_attempt_at: timestamp.optional(),
    last_status_code: z.number().int().optional(),
    last_error: z.string().optional(),
    created_at: timestamp.describe('When the event was accepted'),
    finished_at: timestamp.optional(),
  })
  .meta({ id: 'Delivery' });
export type DeliveryView = Readonly<z.infer<typeof deliveryView>>;

/** An attempt as the history shows it. */
export const attemptView = attempt.extend({ round: z.number().int(), number: z.number().int(), trigger }).meta({ id: 'Attempt' });
export type AttemptView = Readonly<z.infer<typeof attemptView>>;
