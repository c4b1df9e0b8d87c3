import type { Pool } from 'pg';
import { SCHEMA } from '../migrations/migrations.js';

/** The catalogue's example of a type's data; undefined when there is none. */
export const exampleIn =
  (pool: Pool) =>
  async (tenant: string, eventType: string): Promise<unknown> => {
    const { rows } = await pool.query<{ example: unknown }>(`select state -> 'example' as example from ${SCHEMA}.event_types where id = $1`, [
      `${tenant}/${eventType}`,
    ]);
    return rows[0]?.example ?? undefined;
  };
