import type { EventStore, StreamPlace } from '@posthorn/event-store';
import type { ClientBase, Pool, PoolClient } from 'pg';
import { addRows, writeRows, type ReadModel, type Standing } from '../read-model.js';
import type { Progress } from './progress.js';
import { compareShadow, createShadow, dropShadow, indexShadow, shadowOf, swapShadow, type Difference } from './shadow-table.js';
import { StreamFolder, type Folded } from './stream-folder.js';

export type RebuildParts = {
  readonly pool: Pool;
  readonly store: EventStore;
  readonly readModels: readonly ReadModel[];
  /** Of events. */
  readonly progress: Progress;
};

const PAGE = 5_000;
/** Rows, or streams, a statement. */
const BATCH = 1_000;
/** Appends wait while the last streams are folded again: more than these are folded before. */
const LAST_STREAMS = 500;

/**
 * Makes every table of the read model anew from the events, while the registry goes on working:
 *
 * 1. all streams are folded, one after the other, into tables beside those in use;
 * 2. those that got events meanwhile are folded again, until only few are left;
 * 3. between two appends the last of them are folded, and the tables change places.
 */
export const rebuild = (parts: RebuildParts): Promise<void> =>
  besideTables(parts, async (client) => {
    const position = await foldAll(parts, client);
    await parts.store.betweenAppends(async (transaction) => {
      await foldAgain(parts, transaction, await parts.store.streamsAfter(position, transaction));
      for (const readModel of parts.readModels) await swapShadow(transaction, readModel);
    });
  });

/** As `rebuild`, but compares, and changes nothing. At most `limit` differences, by table and id. */
export const verify = (parts: RebuildParts, limit: number): Promise<readonly Difference[]> =>
  besideTables(parts, async (client) => {
    const { pool, store, readModels } = parts;
    const position = await foldAll(parts, client);
    return withClient(pool, async (snapshot) => {
      // The snapshot is taken where no append is under way, and compared after they go on.
      await store.betweenAppends(async () => {
        await foldAgain(parts, client, await store.streamsAfter(position));
        await snapshot.query('begin isolation level repeatable read read only');
        await snapshot.query('select 1');
      });
      const differences: Difference[] = [];
      for (const readModel of readModels) {
        differences.push(...(await compareShadow(snapshot, readModel, limit - differences.length)));
      }
      return differences;
    });
  });

const LOCK = `hashtextextended('registry.rebuild', 0)`;

/** One at a time: the lock lies on the connection that writes the shadows. Whoever comes right after this one finds it free, not only when PostgreSQL has seen the connection go. */
const besideTables = <T>({ pool, readModels }: RebuildParts, work: (client: ClientBase) => Promise<T>): Promise<T> =>
  withClient(pool, async (client) => {
    const { rows } = await client.query<{ granted: boolean }>(`select pg_try_advisory_lock(${LOCK}) as granted`);
    if (!rows[0]?.granted) throw new Error('a rebuild is under way already');
    // Shadows need not be on disk before the commit that puts them into their places, which waits for all that was written before.
    await client.query('set synchronous_commit = off');
    try {
      return await work(client);
    } finally {
      for (const readModel of readModels) await dropShadow(client, readModel);
      await client.query(`select pg_advisory_unlock(${LOCK})`);
    }
  });

const withClient = async <T>(pool: Pool, work: (client: PoolClient) => Promise<T>): Promise<T> => {
  const client = await pool.connect();
  // A lost connection also fails the query under way, or the next one.
  client.on('error', () => undefined);
  try {
    return await work(client);
  } finally {
    client.release(true);
  }
};

/** Fills the shadows. What was appended after the position that is returned may be missing in them. */
const foldAll = async (parts: RebuildParts, client: ClientBase): Promise<number> => {
  const { store, readModels, progress } = parts;
  let position = await store.lastPosition();
  for (const readModel of readModels) await createShadow(client, readModel);
  const folder = new StreamFolder(readModels);
  const rows = new ShadowRows(client, addRows);
  const beginning: StreamPlace = { stream: '', version: 0 };
  // The database reads one page and writes another while a third is folded. What fails first is what is told.
  let writing = Promise.resolve();
  for (let page = await store.readByStream(beginning, PAGE); page.length > 0; ) {
    const following = store.readByStream(page.at(-1) ?? beginning, PAGE);
    following.catch(() => undefined);
    const folded = folder.take(page);
    await writing;
    writing = rows.write(folded);
    writing.catch(() => undefined);
    progress.add(page.length);
    page = await following;
  }
  await writing;
  await rows.write(folder.finish());
  await rows.flush();
  for (const readModel of readModels) await indexShadow(client, readModel);

  for (;;) {
    const reached = await store.lastPosition();
    const streams = await store.streamsAfter(position);
    if (streams.length <= LAST_STREAMS) return position;
    await foldAgain(parts, client, streams);
    position = reached;
  }
};

/** Folds these streams whole, as `client` sees them, and brings their rows in the shadows up to date. */
const foldAgain = async (
  { store, readModels, progress }: RebuildParts,
  client: ClientBase,
  streams: readonly string[],
): Promise<void> => {
  const folder = new StreamFolder(readModels);
  const rows = new ShadowRows(client, writeRows);
  for (let first = 0; first < streams.length; first += BATCH) {
    const histories = await store.readMany(streams.slice(first, first + BATCH), client);
    for (const history of histories.values()) {
      await rows.write(folder.take(history));
      progress.add(history.length);
    }
  }
  await rows.write(folder.finish());
  await rows.flush();
};

/** Collects rows of the shadows, and writes many at a time. */
class ShadowRows {
  readonly #client: ClientBase;
  readonly #put: typeof addRows;
  readonly #waiting = new Map<ReadModel, Standing<unknown>[]>();

  /** @param put `addRows` as long as there are none of the aggregates that come, else `writeRows` */
  constructor(client: ClientBase, put: typeof addRows) {
    this.#client = client;
    this.#put = put;
  }

  async write(folded: readonly Folded[]): Promise<void> {
    for (const { readModel, standing } of folded) {
      const waiting = this.#waiting.get(readModel) ?? [];
      this.#waiting.set(readModel, waiting);
      if (waiting.push(standing) >= BATCH) await this.#writeOf(readModel);
    }
  }

  async flush(): Promise<void> {
    for (const readModel of this.#waiting.keys()) await this.#writeOf(readModel);
  }

  async #writeOf(readModel: ReadModel): Promise<void> {
    const standings = this.#waiting.get(readModel) ?? [];
    this.#waiting.set(readModel, []);
    await this.#put(this.#client, readModel, standings, shadowOf(readModel));
  }
}
