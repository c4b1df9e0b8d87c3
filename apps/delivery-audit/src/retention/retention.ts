import type { Logger } from '@posthorn/kafka';
import { Client } from 'pg';
import { createPartitions, partitionedTables, partitionName, statisticsTables, type PartitionedTable } from '../loading/partitions.js';
import { MINUTES_KEPT_MS } from '../statistics/folder.js';
import type { RetentionPolicy } from './retention-policy.js';

const DAY_MS = 86_400_000;
const HOUR_MS = 3_600_000;
/** Rows that one transaction deletes at most: the locks and the work of a step are those of a batch that is loaded. */
const STEP = 5_000;
const CONNECT_TIMEOUT_MS = 10_000;
const STATEMENT_TIMEOUT_MS = 120_000;
/** Nothing queues behind a partition that cannot be taken out now: it is tried again with the next sweep. */
const LOCK_TIMEOUT_MS = 5_000;

const dayAt = (ms: number): string => new Date(ms).toISOString().slice(0, 'yyyy-mm-dd'.length);

export type Swept = {
  /** Partitions that were dropped, each of one table and day. */
  readonly dropped: number;
  /** Rows of tenants that keep less than others, or are gone. */
  readonly deleted: number;
};

export type RetentionOptions = {
  readonly databaseUrl: string;
  readonly schema?: string;
  readonly policy: RetentionPolicy;
  readonly log: Logger;
  readonly onSwept?: (swept: Swept) => void;
};

/**
 * Makes the partitions of tomorrow before its first event comes, and lets go what has been kept long enough: a day that is over for all by
 * dropping its partitions, of a day that is over for some their rows, step by step. Every replica runs one; an advisory lock lets one at a
 * time sweep. What it does not come to, or what fails, the next sweep does.
 */
export class Retention {
  readonly #options: Required<Pick<RetentionOptions, 'schema'>> & RetentionOptions;
  readonly #timer: NodeJS.Timeout;
  #sweeping: Promise<void> | undefined;
  #isClosed = false;

  constructor(options: RetentionOptions, everyMs = HOUR_MS) {
    this.#options = { schema: 'audit', ...options };
    this.#timer = setInterval(() => this.wake(), everyMs);
    this.#timer.unref();
  }

  /** Sweeps, unless it is at it. Whatever fails is logged and tried again an hour later. */
  wake(): void {
    if (this.#isClosed) return;
    this.#sweeping ??= this.sweep(Date.now())
      .then(
        (swept) => {
          if (swept !== undefined) this.#options.onSwept?.(swept);
        },
        (error: unknown) => this.#options.log.warn({ err: error }, 'could not let go what has been kept long enough, trying again in an hour'),
      )
      .finally(() => {
        this.#sweeping = undefined;
      });
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    clearInterval(this.#timer);
    await this.#sweeping;
  }

  /** Undefined when another replica sweeps. */
  async sweep(nowMs: number): Promise<Swept | undefined> {
    const { schema, policy } = this.#options;
    const client = await this.#connect();
    try {
      if (!(await lead(client, schema))) return undefined;
      for (const day of [dayAt(nowMs), dayAt(nowMs + DAY_MS)]) await createPartitions(client, schema, day, [...partitionedTables, ...statisticsTables]);
      const first = policy.firstDay(nowMs);
      const dropped = await this.#dropBefore(client, (table) => (table === 'statistics_minutes' ? dayAt(nowMs - MINUTES_KEPT_MS) : first));
      return { dropped, deleted: await this.#deleteOver(client, nowMs) };
    } finally {
      await client.end();
    }
  }

  async #connect(): Promise<Client> {
    const client = new Client({
      connectionString: this.#options.databaseUrl,
      application_name: 'posthorn delivery-audit retention',
      connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
      query_timeout: STATEMENT_TIMEOUT_MS,
      keepAlive: true,
    });
    // A statement that fails tells of it; unheard, the connection itself would end the process.
    client.on('error', () => undefined);
    await client.connect();
    await client.query(`set lock_timeout = ${LOCK_TIMEOUT_MS}`);
    return client;
  }

  /**
   * Taken out of its table without shutting out who reads or writes the other days, then dropped. What was taken out, or half taken out, when
   * a process died is found by its name.
   */
  async #dropBefore(client: Client, firstOf: (table: PartitionedTable) => string | undefined): Promise<number> {
    const { schema, log } = this.#options;
    let dropped = 0;
    for (const { table, partition, day, isAttached, isPending } of await partitionsOf(client, schema)) {
      const first = firstOf(table);
      if (first === undefined || day >= first || this.#isClosed) continue;
      if (isPending) await client.query(`alter table ${schema}.${table} detach partition ${schema}.${partition} finalize`);
      else if (isAttached) await client.query(`alter table ${schema}.${table} detach partition ${schema}.${partition} concurrently`);
      await client.query(`drop table ${schema}.${partition}`);
      log.info({ partition }, 'dropped a day that is over');
      dropped++;
    }
    return dropped;
  }

  async #deleteOver(client: Client, nowMs: number): Promise<number> {
    const { schema, policy } = this.#options;
    let deleted = 0;
    for (const { table, partition, day } of await partitionsOf(client, schema)) {
      if (!isOfTenants(table)) continue;
      for (const tenant of await tenantsOf(client, `${schema}.${partition}`)) {
        if (!policy.isOver(tenant, day, nowMs)) continue;
        let gone;
        do {
          if (this.#isClosed) return deleted;
          gone = await deleteStep(client, schema, table, tenant, day);
          deleted += gone;
        } while (gone > 0);
      }
    }
    return deleted;
  }
}

/** For as long as the connection lasts. */
const lead = async (client: Client, schema: string): Promise<boolean> => {
  const { rows } = await client.query<{ leads: boolean }>(`select pg_try_advisory_lock(hashtextextended($1, 0)) as leads`, [`${schema}.retention`]);
  return rows[0]?.leads === true;
};

type Partition = {
  readonly table: PartitionedTable;
  readonly partition: string;
  readonly day: string;
  readonly isAttached: boolean;
  readonly isPending: boolean;
};

/** Every table of the schema that is called as a day's partition is, oldest day first. */
const partitionsOf = async (client: Client, schema: string): Promise<readonly Partition[]> => {
  const { rows } = await client.query<{ partition: string; digits: string; attached: boolean; pending: boolean }>(
    `select relname as partition, right(relname, 8) as digits, inhrelid is not null as attached, coalesce(inhdetachpending, false) as pending
     from pg_class left join pg_inherits on inhrelid = pg_class.oid
     where relnamespace = $1::regnamespace and relkind = 'r' and relname ~ '_\\d{8}$' order by 2, 1`,
    [schema],
  );
  return rows.flatMap(({ partition, digits, attached, pending }) => {
    const day = digits.replace(/(\d{4})(\d\d)(\d\d)/, '$1-$2-$3');
    const table = [...partitionedTables, ...statisticsTables].find((name) => partitionName(name, day) === partition);
    return table === undefined ? [] : [{ table, partition, day, isAttached: attached, isPending: pending }];
  });
};

/** Tables whose rows go with their delivery's; those with a tenant are looked through by an index that begins with it. */
const ofDeliveries = ['attempts', 'rounds', 'cancellations'] as const;
const isOfTenants = (table: PartitionedTable): boolean => !(ofDeliveries as readonly string[]).includes(table);

/** Whose rows are in a partition: one probe of the index for each, however many rows they have. */
const tenantsOf = async (client: Client, partition: string): Promise<readonly string[]> => {
  const { rows } = await client.query<{ tenant: string }>(
    `with recursive found as (
       (select tenant from ${partition} where tenant is not null order by tenant limit 1)
       union all
       select (select tenant from ${partition} where tenant > found.tenant order by tenant limit 1) from found where found.tenant is not null
     ) select tenant from found where tenant is not null`,
  );
  return rows.map(({ tenant }) => tenant);
};

/** Deletes some rows of a tenant's day; how many. Of deliveries all that is theirs with them. */
const deleteStep = async (client: Client, schema: string, table: PartitionedTable, tenant: string, day: string): Promise<number> => {
  const name = `${schema}.${partitionName(table, day)}`;
  const some = `select ctid from ${name} where tenant = $1 limit ${STEP}`;
  if (table !== 'deliveries') return (await client.query(`delete from ${name} where ctid = any(array(${some}))`, [tenant])).rowCount ?? 0;
  const withThem = ofDeliveries.map(
    (other) => `${other}_gone as (delete from ${schema}.${partitionName(other, day)} using gone where delivery_id = gone.id)`,
  );
  const { rowCount } = await client.query(
    `with gone as (delete from ${name} where ctid = any(array(${some})) returning id), ${withThem.join(', ')} select from gone`,
    [tenant],
  );
  return rowCount ?? 0;
};
