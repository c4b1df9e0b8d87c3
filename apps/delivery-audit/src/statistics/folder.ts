import type { Logger } from '@posthorn/kafka';
import { Client } from 'pg';
import { createPartitions, statisticsTables } from '../loading/partitions.js';
import { IDLE_TIMEOUT_MS, KEEP_ALIVE } from '../loading/vanished.js';
import { Figures } from './figures.js';
import { MINUTE_MS, readDelta } from './tally.js';

export const HOUR_MS = 3_600_000;
/** How long figures by minutes are kept: a series whose step is shorter than an hour reaches back so far. */
export const MINUTES_KEPT_MS = 72 * HOUR_MS;

/** Deltas that one transaction takes: it is short, and what it reads fits into memory, whatever has piled up. */
const MOST_DELTAS = 512;
const MOST_BYTES = 1024 * 1024;
/** From the first sign of a delta to the folding: the more go together, the less often each row is rewritten. Readers lose nothing by it. */
const GATHER_MS = 2_000;
const RETRY_MS = 2_000;

const CONNECT_TIMEOUT_MS = 10_000;
const STATEMENT_TIMEOUT_MS = 60_000;
/** With the hash of the schema. */
const FOLD_LOCK = 7_163_003;

export type FolderOptions = {
  readonly databaseUrl: string;
  readonly schema?: string;
  readonly log: Logger;
  readonly now?: () => number;
  readonly gatherMs?: number;
  /** PostgreSQL ends the session when a transaction waits for its next statement for longer. Default ten seconds. */
  readonly idleTimeoutMs?: number;
  /** After each transaction that has folded something. */
  readonly onFolded?: (seconds: number) => void;
};

type Cell = { readonly tenant: string; readonly subscription: string; readonly atMs: number; readonly figures: Figures };
type DeltaRow = { readonly id: string; readonly tenant: string; readonly figures: Buffer };

/** Figures by whose and when. */
class Cells {
  readonly #cells = new Map<string, Cell>();

  add(tenant: string, subscription: string, atMs: number, figures: Figures): void {
    const key = keyOf({ tenant, subscription, atMs });
    let cell = this.#cells.get(key);
    if (cell === undefined) this.#cells.set(key, (cell = { tenant, subscription, atMs, figures: new Figures() }));
    cell.figures.add(figures);
  }

  get all(): readonly Cell[] {
    return [...this.#cells.values()];
  }
}

const keyOf = ({ tenant, subscription, atMs }: Omit<Cell, 'figures'>): string => `${atMs} ${tenant} ${subscription}`;

const isoOf = (ms: number): string => new Date(ms).toISOString();
const dayOf = (ms: number): string => isoOf(ms).slice(0, 'yyyy-mm-dd'.length);

/** Each delta's figures in four places: of its subscription and its tenant, by the minute, while those are kept, and by the hour. */
const cellsOf = (deltas: readonly DeltaRow[], nowMs: number): { readonly minutes: Cells; readonly hours: Cells } => {
  const minutes = new Cells();
  const hours = new Cells();
  for (const { tenant, figures: bytes } of deltas) {
    readDelta(bytes, undefined, (subscription, minute, figures) => {
      const minuteMs = minute * MINUTE_MS;
      const hourMs = minuteMs - (((minuteMs % HOUR_MS) + HOUR_MS) % HOUR_MS);
      for (const owner of [subscription, '']) {
        if (minuteMs >= nowMs - MINUTES_KEPT_MS) minutes.add(tenant, owner, minuteMs, figures);
        hours.add(tenant, owner, hourMs, figures);
      }
    });
  }
  return { minutes, hours };
};

/**
 * Folds what transactions have counted into the tables of figures, in the background: woken by who has written a delta, and once at the
 * start for those whose writer has died. Replicas take turns, by a lock that falls with the transaction; who waits for it finds what the one
 * before has left. A transaction takes the deltas away and adds them, so nothing is counted twice or not at all, whenever it is killed.
 */
export class Folder {
  readonly #options: Required<FolderOptions>;
  #client: Client | undefined;
  readonly #days = new Set<string>();
  #timer: NodeJS.Timeout | undefined;
  #folding: Promise<void> = Promise.resolve();
  #isClosed = false;

  constructor(options: FolderOptions) {
    this.#options = { schema: 'audit', now: Date.now, gatherMs: GATHER_MS, idleTimeoutMs: IDLE_TIMEOUT_MS, onFolded: () => undefined, ...options };
  }

  /** There is something to fold, or may be. */
  wake(): void {
    this.#foldIn(this.#options.gatherMs);
  }

  /** Until nothing is left. What others write meanwhile may be. */
  async foldAll(): Promise<void> {
    while (!this.#isClosed && (await this.#foldSome()));
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    clearTimeout(this.#timer);
    await this.#folding;
    await this.#disconnect();
  }

  #foldIn(ms: number): void {
    if (this.#isClosed) return;
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      this.#folding = this.#folding.then(() => this.#foldNow());
    }, ms);
  }

  async #foldNow(): Promise<void> {
    try {
      await this.foldAll();
    } catch (err) {
      if (this.#isClosed) return;
      this.#options.log.warn({ err, retryMs: RETRY_MS }, 'could not fold statistics, trying again');
      this.#foldIn(RETRY_MS);
    }
  }

  /** False when there was nothing. */
  async #foldSome(): Promise<boolean> {
    const client = (this.#client ??= await this.#connect());
    const start = performance.now();
    try {
      await client.query('begin');
      await client.query('select pg_advisory_xact_lock($1, hashtext($2))', [FOLD_LOCK, this.#options.schema]);
      const deltas = await this.#takeDeltas(client);
      const { minutes, hours } = cellsOf(deltas, this.#options.now());
      const days = [...new Set([...minutes.all, ...hours.all].map(({ atMs }) => dayOf(atMs)))].filter((day) => !this.#days.has(day));
      if (days.length > 0) {
        await client.query('rollback');
        for (const day of days) await this.#preparePartitions(client, day);
        return true;
      }
      // The keys are known and few, the tables are large: no statistics of theirs shall ever make a scan of one look cheap.
      await client.query('set local enable_seqscan = off; set local enable_hashjoin = off; set local enable_mergejoin = off');
      // Taken back by a crash of the server, it is taken back as a whole, and folded again.
      await client.query('set local synchronous_commit = off');
      await this.#add(client, 'statistics_minutes', minutes.all);
      await this.#add(client, 'statistics_hours', hours.all);
      await client.query('commit');
      if (deltas.length > 0) this.#options.onFolded((performance.now() - start) / 1_000);
      return deltas.length > 0;
    } catch (error) {
      // Forgotten too: a partition may have been dropped meanwhile.
      this.#days.clear();
      await this.#disconnect();
      throw error;
    }
  }

  async #preparePartitions(client: Client, day: string): Promise<void> {
    await createPartitions(client, this.#options.schema, day, statisticsTables);
    this.#days.add(day);
  }

  /** The oldest, as many as one transaction is to hold, but at least one. */
  async #takeDeltas(client: Client): Promise<readonly DeltaRow[]> {
    const { rows } = await client.query<DeltaRow>(`
      delete from ${this.#options.schema}.statistics_deltas where id in (
        select id from (
          select id, sum(bytes) over (order by id) - bytes as before
          from (select id, octet_length(figures) as bytes from ${this.#options.schema}.statistics_deltas order by id limit ${MOST_DELTAS}) oldest
        ) measured where before < ${MOST_BYTES}
      ) returning id, tenant, figures`);
    return rows;
  }

  async #add(client: Client, table: (typeof statisticsTables)[number], cells: readonly Cell[]): Promise<void> {
    if (cells.length === 0) return;
    const keys = [
      cells.map(({ tenant }) => tenant),
      cells.map(({ subscription }) => subscription),
      cells.map(({ atMs }) => isoOf(atMs)),
      cells.map(({ atMs }) => dayOf(atMs)),
    ];
    const { rows } = await client.query<{ readonly tenant: string; readonly subscription_id: string; readonly at: Date; readonly figures: Buffer }>(
      `select known.tenant, known.subscription_id, known.at, known.figures
         from unnest($1::text[], $2::text[], $3::timestamptz[], $4::date[]) as wanted (tenant, subscription_id, at, day)
         join ${this.#options.schema}.${table} known using (tenant, subscription_id, at, day)`,
      keys,
    );
    const known = new Map(rows.map((row) => [keyOf({ tenant: row.tenant, subscription: row.subscription_id, atMs: row.at.getTime() }), row.figures]));
    for (const cell of cells) {
      const bytes = known.get(keyOf(cell));
      if (bytes) cell.figures.add(Figures.decode(bytes));
    }
    await client.query(
      `insert into ${this.#options.schema}.${table} (tenant, subscription_id, at, day, figures)
       select * from unnest($1::text[], $2::text[], $3::timestamptz[], $4::date[], $5::bytea[])
       on conflict (tenant, subscription_id, at, day) do update set figures = excluded.figures`,
      [...keys, cells.map(({ figures }) => figures.encode())],
    );
  }

  async #connect(): Promise<Client> {
    const client = new Client({
      connectionString: this.#options.databaseUrl,
      application_name: 'posthorn delivery-audit statistics',
      connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
      query_timeout: STATEMENT_TIMEOUT_MS,
      idle_in_transaction_session_timeout: this.#options.idleTimeoutMs,
      keepAlive: true,
    });
    // A connection that breaks while idle says so here only; unheard, it would end the process.
    client.on('error', () => {
      if (this.#client === client) this.#client = undefined;
    });
    await client.connect();
    await client.query(KEEP_ALIVE);
    return client;
  }

  async #disconnect(): Promise<void> {
    const client = this.#client;
    this.#client = undefined;
    await client?.end().catch(() => undefined);
  }
}
