import { eventLimits } from '@posthorn/contracts';
import { commonConfig, integer } from '@posthorn/service-kit';
import { z } from 'zod';

/** A record holds 2 MiB; base64, and numbers in the context written out, may nearly triple an event. */
const MOST_EVENT_BYTES = 768 * 1024;

export const ingestionConfig = z.object({
  ...commonConfig,
  POSTHORN_MAX_EVENT_BYTES: integer(1024, MOST_EVENT_BYTES)
    .default(eventLimits.bytes)
    .describe('Largest event that is accepted, envelope and data together, in bytes'),
});
export type IngestionConfig = z.infer<typeof ingestionConfig>;
