import type { Duplicates } from '@posthorn/contracts';
import type { Database } from './database.js';

/** How often an event came again, by all who saw it; undefined when it did not. @param since a day: what came before it was about another event of this id */
export const findDuplicates = async (database: Pick<Database, 'query'>, tenant: string, eventId: string, since?: string): Promise<Duplicates | undefined> => {
  const [row] = await database.query<{ readonly count: string | null; readonly first_at: Date; readonly last_at: Date }>(
    `select sum(count) as count, min(first_at) as first_at, max(last_at) as last_at
     from audit.duplicates where tenant = $1 and event_id = $2 and day >= coalesce($3::date, '-infinity')`,
    [tenant, eventId, since ?? null],
  );
  if (row === undefined || row.count === null) return undefined;
  return { count: Number(row.count), first_at: row.first_at.toISOString(), last_at: row.last_at.toISOString() };
};
