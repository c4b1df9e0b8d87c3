import { commonConfig, databaseConfig, egressConfig, encryptionConfig, integer } from '@posthorn/service-kit';
import { z } from 'zod';

const roleNames = ['router', 'sender', 'delay'] as const;
export type RoleName = (typeof roleNames)[number];

const settings = z.object({
  ...commonConfig,
  ...egressConfig,
  ...encryptionConfig,
  POSTHORN_DATABASE_URL: databaseConfig.POSTHORN_DATABASE_URL.optional().describe(databaseConfig.POSTHORN_DATABASE_URL.description ?? ''),
  POSTHORN_DISPATCHER_ROLES: z
    .string()
    .default(roleNames.join(','))
    .transform((text) => text.split(',').map((role) => role.trim()))
    .pipe(z.array(z.enum(roleNames, { error: `one or more of ${roleNames.join(', ')}, separated by commas` })).min(1))
    .describe('What this process does, so that each role can be scaled alone; of the three, only the sender needs `POSTHORN_DATABASE_URL`'),
  POSTHORN_SENDER_MAX_IN_FLIGHT: integer(1, 100_000)
    .default(1_000)
    .describe('Requests to subscribers under way at a time, in all'),
  POSTHORN_ORDERING_BACKLOG: integer(1, 10_000_000)
    .default(100_000)
    .describe('Deliveries of one subscription with `ordering: by_key` that may wait behind others of their keys; beyond, they fail as `ordering_backlog_full`'),
});

export const dispatcherConfig = settings.superRefine(({ POSTHORN_DISPATCHER_ROLES: roles, POSTHORN_DATABASE_URL: url }, context) => {
  if (url === undefined && roles.includes('sender')) context.addIssue({ code: 'custom', path: ['POSTHORN_DATABASE_URL'], message: 'is not set, and the sender needs it' });
});
export type DispatcherConfig = z.infer<typeof dispatcherConfig>;
