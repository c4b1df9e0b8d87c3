import type { Database } from '../query/database.js';

type Row = { readonly created: { readonly tenant?: unknown } | null; readonly has_deliveries: boolean };

/** Also one that is gone, and one of which the registry's log has not told yet. */
const LOOK_UP = `
  select (select data from audit.configuration where stream = $2 order by version limit 1) as created,
    exists (select from audit.deliveries where tenant = $1 and subscription_id = $3) as has_deliveries`;

/** Whether it is, or was, one of the tenant's. */
export const isSubscriptionOf = async (database: Pick<Database, 'query'>, tenant: string, id: string): Promise<boolean> => {
  const [row] = await database.query<Row>(LOOK_UP, [tenant, `subscription/${id}`, id]);
  return row?.created?.tenant === tenant || row?.has_deliveries === true;
};
