import { commonConfig, egressConfig, encryptionConfig, integer } from '@posthorn/service-kit';
import { z } from 'zod';

const roleNames = ['router', 'sender', 'delay'] as const;
export type RoleName = (typeof roleNames)[number];

export const dispatcherConfig = z.object({
  ...commonConfig,
  ...egressConfig,
  ...encryptionConfig,
  POSTHORN_DISPATCHER_ROLES: z
    .string()
    .default(roleNames.join(','))
    .transform((text) => text.split(',').map((role) => role.trim()))
    .pipe(z.array(z.enum(roleNames, { error: `one or more of ${roleNames.join(', ')}, separated by commas` })).min(1))
    .describe('What this process does, so that each role can be scaled alone'),
  POSTHORN_SENDER_MAX_IN_FLIGHT: integer(1, 100_000)
    .default(1_000)
    .describe('Requests to subscribers under way at a time, in all'),
});
export type DispatcherConfig = z.infer<typeof dispatcherConfig>;
