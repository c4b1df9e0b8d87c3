import { setTimeout as delay } from 'node:timers/promises';
import type { Kafka, Logger } from '@posthorn/kafka';
import { RegistryStateFeed } from '@posthorn/service-kit';
import type { Client } from 'pg';
import { Retention } from '../retention/retention.js';
import { RetentionPolicy } from '../retention/retention-policy.js';
import { FRESH } from './fresh-tables.js';

/** How long whose history is kept, as the registry says now. */
export const readPolicy = async (kafka: Kafka): Promise<RetentionPolicy> => {
  await kafka.ensureTopics(['registry.state']);
  const feed = new RegistryStateFeed();
  const policy = new RetentionPolicy(() => feed.isCaughtUp);
  feed.fold('tenant', policy.tenants);
  await feed.start((onRecord) => kafka.follow({ topic: kafka.topic('registry.state'), onRecord }));
  await feed.caughtUp;
  return policy;
};

/** `registry.state` forgets a deleted tenant after a day; the log, which is in the fresh tables, does not. */
const learnDeletions = async (client: Client, policy: RetentionPolicy): Promise<void> => {
  const { rows } = await client.query<{ tenant: string }>(
    `select substr(stream, length('tenant/') + 1) as tenant from ${FRESH}.configuration as last
     where type = 'TenantDeleted' and not exists (select from ${FRESH}.configuration as later where later.stream = last.stream and later.version > last.version)`,
  );
  for (const { tenant } of rows) policy.tenants.removed(tenant);
};

const RETRY_MS = 200;

export type SweepParts = { readonly client: Client; readonly databaseUrl: string; readonly policy: RetentionPolicy; readonly log: Logger };

/** The topics hold what has been let go already: it is let go again. With other tables than ours, as the audit does itself every hour. */
export const sweep = async ({ client, databaseUrl, policy, log }: SweepParts, schema: string): Promise<void> => {
  await learnDeletions(client, policy);
  const retention = new Retention({ databaseUrl, schema, policy, log });
  try {
    while ((await retention.sweep(Date.now())) === undefined) await delay(RETRY_MS);
  } finally {
    await retention.close();
  }
};
