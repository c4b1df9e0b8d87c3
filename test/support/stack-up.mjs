import { startStack } from '@posthorn/testkit';
import { join } from 'node:path';

/**
 * Runs before the integration and end-to-end tests. The test runner has brought Kafka and PostgreSQL up already and named them
 * in the environment; whoever calls jest by hand gets a pair of their own here.
 */
export default async ({ rootDir }) => {
  if (process.env.POSTHORN_KAFKA_BROKERS && process.env.POSTHORN_DATABASE_URL) return;
  const stack = await startStack({ dir: join(rootDir, '.posthorn', 'test'), fresh: true });
  process.env.POSTHORN_KAFKA_BROKERS = stack.brokers;
  process.env.POSTHORN_DATABASE_URL = stack.databaseUrl;
  globalThis.posthornStack = stack;
};
