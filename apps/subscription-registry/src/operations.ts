import { operationId, type Operation } from '@posthorn/contracts';
import type { RecordedEvent } from '@posthorn/event-store';
import type { Pool } from 'pg';
import { SCHEMA } from './migrations/migrations.js';
import { aggregateOf } from './streams.js';

/** What nobody asked for, and somebody should hear of. */
const isOperation = ({ type, data }: RecordedEvent): boolean => type === 'SubscriptionDisabled' && data['reason'] !== 'by_user';

/** A subscription's tenant, which its first event names, also when it has been deleted since. */
const tenantsOf = async (pool: Pick<Pool, 'query'>, streams: readonly string[]): Promise<ReadonlyMap<string, string>> => {
  const { rows } = await pool.query<{ stream: string; tenant: string }>(
    `select stream, data ->> 'tenant' as tenant from ${SCHEMA}.events where stream = any($1) and version = 1`,
    [streams],
  );
  return new Map(rows.map(({ stream, tenant }) => [stream, tenant]));
};

/** What a batch of events has for `operations`, in their order. Without anything, as nearly always, nothing is asked of the database. */
export const operationsOf = async (pool: Pick<Pool, 'query'>, batch: readonly RecordedEvent[]): Promise<readonly Operation[]> => {
  const telling = batch.filter(isOperation);
  if (telling.length === 0) return [];
  const tenants = await tenantsOf(pool, telling.map(({ stream }) => stream));
  return telling.flatMap(({ stream, version, at, data, cause }): Operation[] => {
    const tenant = tenants.get(stream);
    // Whatever has no first event was never a subscription.
    if (tenant === undefined) return [];
    return [
      {
        id: operationId(stream, version),
        type: 'subscription.disabled',
        tenant,
        subject: aggregateOf(stream).id,
        time: at,
        data: { reason: data['reason'], ...(cause !== undefined && { cause }) },
      },
    ];
  });
};
