import { setTimeout as delay } from 'node:timers/promises';
import type { Kafka, Logger } from '@posthorn/kafka';
import { Client } from 'pg';
import { foldedTopics } from '../loading/folds.js';
import { Loader } from '../loading/loader.js';
import { SCHEMA } from '../migrations/migrations.js';
import { withinRetention } from '../retention/within-retention.js';
import { Folder } from '../statistics/folder.js';
import { compareTables, placeOf, type Difference } from './compare.js';
import { createFresh, dropFresh, FRESH, prepareFresh } from './fresh-tables.js';
import { HistoryReader, type Beginnings } from './history-reader.js';
import type { Progress } from './progress.js';
import { beginningsFor } from './reach.js';
import { readPolicy, sweep } from './retained.js';
import { exchangeTables } from './exchange.js';

export type RebuildParts = {
  readonly kafka: Kafka;
  readonly databaseUrl: string;
  /** The group that the audit reads the topics as. */
  readonly groupId: string;
  readonly progress: Progress;
  readonly log: Logger;
};

const CONNECT_TIMEOUT_MS = 5_000;
const PROGRESS_MS = 250;
/** Of rounds of folding, each shorter than the one before, ahead of the one for which writing has to wait. */
const CATCHING_UP = 3;

/**
 * Folds the topics again into tables of their own, while the audit loads and answers, and puts the days from `firstDay` on in the place of those in
 * use: all of them, or, when anything fails or the process ends, none.
 */
export const rebuild = (parts: RebuildParts, firstDay: string): Promise<void> =>
  besideTables(parts, firstDay, async (work) => {
    for (let time = 0; time < CATCHING_UP; time += 1) await work.catchUp();
    await work.sweep(FRESH);
    await prepareFresh(work.client, firstDay);
    await exchangeTables(work, firstDay);
  });

/** At most so many rows are watched at a time until they say the same, or keep saying something else. */
const MOST_SUSPECTS = 10_000;
/** What changes for so long is worked on: it will not hold still. */
const MOST_LOOKS = 10;
const AUDIT_PATIENCE_MS = 60_000;
const LOOK_MS = 100;

export type Verdict = {
  readonly differences: readonly Difference[];
  /** Rows that differed each time, each time otherwise: whether they are right cannot be told while they are worked on. */
  readonly unsettled: number;
};

/**
 * As `rebuild`, but compares, and changes nothing. Nothing is held up meanwhile, so the two never hold exactly the same records: rows differ because
 * one of them has not been written yet. But what either has of a row, the other has after a while, and rows only rise in rank: a row that
 * differs, and that both leave as it is while the audit and we read past everything that there was, would have to be above itself. It is wrong.
 */
export const verify = (parts: RebuildParts, firstDay: string): Promise<Verdict> =>
  besideTables(parts, firstDay, async (work) => {
    const compare = async (places?: ReadonlySet<string>): Promise<readonly Difference[]> => {
      await bothCatchUp(parts, work);
      for (const schema of [FRESH, SCHEMA]) await work.sweep(schema);
      return compareTables(work.client, firstDay, MOST_SUSPECTS, places);
    };
    for (;;) {
      const first = await compare();
      const verdict = await settle(first, compare);
      const isAll = first.length < MOST_SUSPECTS;
      if (isAll || verdict.differences.length > 0 || verdict.unsettled > 0) return verdict;
    }
  });

/** Looks at the suspects again until each is cleared, or some are found wrong. What differs only now was right when all was looked at. */
const settle = async (first: readonly Difference[], compare: (places: ReadonlySet<string>) => Promise<readonly Difference[]>): Promise<Verdict> => {
  let suspects = first;
  for (let looks = 1; suspects.length > 0 && looks < MOST_LOOKS; looks += 1) {
    const known = new Map(suspects.map((suspect) => [identityOf(suspect), suspect.hashes]));
    const still = (await compare(new Set(suspects.map(placeOf)))).filter((difference) => known.has(identityOf(difference)));
    const wrong = still.filter((difference) => known.get(identityOf(difference)) === difference.hashes);
    if (wrong.length > 0) return { differences: wrong, unsettled: 0 };
    suspects = still;
  }
  return { differences: [], unsettled: suspects.length };
};

const identityOf = (difference: Difference): string => `${placeOf(difference)} ${difference.key}`;

/** What works on the fresh tables. */
export type Work = {
  /** Holds the lock that keeps rebuilds apart. */
  readonly client: Client;
  readonly loader: Loader;
  /** Resolves when all that was in the topics at the moment of the call is in the fresh tables. */
  readonly catchUp: () => Promise<void>;
  /** Lets go of the tables of a schema what is not kept any more. */
  readonly sweep: (schema: string) => Promise<void>;
};

/** One at a time: the lock lies on the connection, and is closed with it. */
const besideTables = async <T>(parts: RebuildParts, firstDay: string, work: (work: Work) => Promise<T>): Promise<T> => {
  const { kafka, databaseUrl } = parts;
  const client = await connect(databaseUrl);
  try {
    const { rows } = await client.query<{ granted: boolean }>(`select pg_try_advisory_lock(hashtextextended('audit.rebuild', 0)) as granted`);
    if (!rows[0]?.granted) throw new Error('a rebuild is under way already');
    await kafka.ensureTopics(foldedTopics);
    const beginnings = await beginningsFor(kafka, firstDay, Date.now());
    await createFresh(client);
    try {
      return await whileReading(parts, client, beginnings, work);
    } finally {
      await dropFresh(client);
    }
  } finally {
    await client.end();
  }
};

const whileReading = async <T>(parts: RebuildParts, client: Client, beginnings: Beginnings, work: (work: Work) => Promise<T>): Promise<T> => {
  const { kafka, databaseUrl, log, progress } = parts;
  const policy = await readPolicy(kafka);
  const loader = new Loader(withoutWaitingForDisk(databaseUrl), { schema: FRESH });
  const folder = new Folder({ databaseUrl, schema: FRESH, log });
  const reader = new HistoryReader(kafka, (rows) => loader.load(withinRetention(rows, policy, Date.now()).rows));
  const telling = setInterval(() => progress.tell(reader.standing), PROGRESS_MS);
  const catchUp = async (): Promise<void> => {
    await reader.readToEnd();
    await folder.foldAll();
    progress.tell(reader.standing);
  };
  try {
    await reader.start(beginnings);
    return await work({ client, loader, catchUp, sweep: (schema) => sweep({ client, databaseUrl, policy, log }, schema) });
  } finally {
    clearInterval(telling);
    await reader.close();
    await Promise.all([loader.close(), folder.close()]);
  }
};

const connect = async (connectionString: string): Promise<Client> => {
  const client = new Client({ connectionString, application_name: 'posthorn-audit rebuild', connectionTimeoutMillis: CONNECT_TIMEOUT_MS, keepAlive: true });
  // A lost connection also fails the query under way, or the next one.
  client.on('error', () => undefined);
  await client.connect();
  return client;
};

/** What is written need not be on disk before the commit that puts it into its place, which waits for all that was written before. */
const withoutWaitingForDisk = (databaseUrl: string): string => {
  const url = new URL(databaseUrl);
  url.searchParams.set('options', [url.searchParams.get('options') ?? '', '-c synchronous_commit=off'].join(' ').trim());
  return url.href;
};

/** The audit has read, and we have read, whatever is in the topics now. */
const bothCatchUp = async ({ kafka, groupId }: RebuildParts, { catchUp, client }: Work): Promise<void> => {
  // Rounds that are asked for are in the tables before they are in Kafka.
  await untilGone(client, 'replays.outbox', 'rounds that were asked for do not get into Kafka');
  const ends = await Promise.all(foldedTopics.map(async (name) => [kafka.topic(name), await kafka.ends(kafka.topic(name))] as const));
  await catchUp();
  let left = Infinity;
  for (let sinceMs = performance.now(); left > 0; ) {
    const now = await leftOf(kafka, groupId, ends);
    if (now < left) sinceMs = performance.now();
    left = now;
    if (performance.now() - sinceMs > AUDIT_PATIENCE_MS) throw new Error(`delivery-audit has ${left} records left to read and does not come nearer; is it running?`);
    if (left > 0) await delay(LOOK_MS);
  }
  await untilGone(client, `${SCHEMA}.statistics_deltas`, 'what was counted is not folded into the statistics');
};

type Ends = readonly (readonly [topic: string, ends: ReadonlyMap<number, number>])[];

/** Records before these ends that the group has not read yet. */
const leftOf = async (kafka: Kafka, groupId: string, topics: Ends): Promise<number> => {
  const left = await Promise.all(
    topics.map(async ([topic, ends]) => {
      const progress = await kafka.progress(groupId, topic);
      return [...ends].reduce((sum, [partition, end]) => sum + Math.max(0, end - (progress.get(partition) ?? 0)), 0);
    }),
  );
  return left.reduce((sum, count) => sum + count, 0);
};

/** That whatever waits in a table now, by ascending ids, has gone on to where it belongs. */
const untilGone = async (client: Client, table: string, otherwise: string): Promise<void> => {
  const { rows } = await client.query<{ last: string | null }>(`select max(id) as last from ${table}`);
  for (const sinceMs = performance.now(); ; ) {
    const { rowCount } = await client.query(`select from ${table} where id <= $1 limit 1`, [rows[0]?.last ?? '0']);
    if (rowCount === 0) return;
    if (performance.now() - sinceMs > AUDIT_PATIENCE_MS) throw new Error(`${otherwise}; is delivery-audit running?`);
    await delay(LOOK_MS);
  }
};
