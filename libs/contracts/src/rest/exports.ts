import { z } from 'zod';
import { attemptView, deliveryView } from './deliveries.js';

/** An attempt by itself, with whose it is. */
export const exportedAttempt = z
  .object({ delivery_id: z.string(), ...deliveryView.pick({ event_id: true, event_type: true, subscription_id: true }).shape, ...attemptView.shape })
  .meta({ id: 'ExportedAttempt' });
export type ExportedAttempt = Readonly<z.infer<typeof exportedAttempt>>;
