import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { SCHEMA_HEADER, SCHEMA_VERSION } from '@posthorn/contracts';
import * as fc from 'fast-check';
import { foldRows } from '../src/loading/fold.js';
import { foldRecord, foldsOf } from '../src/loading/folds.js';
import { Loader } from '../src/loading/loader.js';
import type { Rows } from '../src/loading/rows.js';
import { histories, readings, type HistoryRecord } from '../src/spec-support/histories.js';
import { Figures } from '../src/statistics/figures.js';
import { Folder } from '../src/statistics/folder.js';
import { createDatabase, type TestDatabase } from './database.js';

/** `POSTHORN_TEST_HISTORIES=500 npm test -- --only integration fold.properties` is the long run. */
const RUNS = Number(process.env['POSTHORN_TEST_HISTORIES'] ?? 10);

const folds = foldsOf({ topic: (name) => name });
const headers = { [SCHEMA_HEADER]: Buffer.from(SCHEMA_VERSION) };
const rowsOf = ({ topic, text }: HistoryRecord): Rows => foldRecord(folds, { topic, value: Buffer.from(text), headers });
const folded = (records: readonly HistoryRecord[]): Rows => foldRows(records.map(rowsOf));

const ignore = (): void => undefined;
const silent = { debug: ignore, info: ignore, warn: ignore, error: ignore, fatal: ignore };

let database: TestDatabase;
let loaders: readonly [Loader, Loader];
let folder: Folder;

beforeAll(async () => {
  database = await createDatabase();
  loaders = [new Loader(database.url), new Loader(database.url)];
  folder = new Folder({ databaseUrl: database.url, log: silent });
}, 60_000);
afterAll(async () => {
  await Promise.all([...loaders, folder].map((one) => one.close()));
  await database.drop();
}, 60_000);

/** What is in the tables, and what is counted of it. */
const content = async () => {
  await folder.foldAll();
  const hours = await database.query<{ figures: Buffer }>('select tenant, subscription_id, at, figures from audit.statistics_hours order by at, tenant, subscription_id');
  // Figures from which everything was taken away again are as good as none.
  return { ...(await database.dump()), hours: hours.filter(({ figures }) => !Figures.decode(figures).isEmpty) };
};

const history = histories({ from: '2026-11-20T23:59:50.000Z', spanMs: 20_000, events: 5 });

describe('the tables', () => {
  it('hold of any history what its fold holds, in whatever order, repetition and batches two loaders write it', async () => {
    await fc.assert(
      fc.asyncProperty(
        history.chain((one) => readings(one).map((batches) => ({ ...one, batches }))),
        async ({ records, batches }) => {
          await database.empty();
          await loaders[0].load(folded(records));
          const expected = await content();
          await database.empty();
          for (let next = 0; next < batches.length; next += 2) {
            await Promise.all(loaders.map((loader, which) => loader.load(folded(batches[next + which] ?? []))));
          }
          expect(await content()).toEqual(expected);
        },
      ),
      { numRuns: RUNS },
    );
  }, 60_000 + RUNS * 2_000);
});
