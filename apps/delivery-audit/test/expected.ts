import { SCHEMA_HEADER, SCHEMA_VERSION } from '@posthorn/contracts';
import * as fc from 'fast-check';
import { foldRows } from '../src/loading/fold.js';
import { foldRecord, foldsOf } from '../src/loading/folds.js';
import { Loader } from '../src/loading/loader.js';
import { histories, type HistoryOptions, type HistoryRecord } from '../src/spec-support/histories.js';
import { createDatabase, type TestDatabase } from './database.js';
import type { TestRecord } from './records.js';

const folds = foldsOf({ topic: (name) => name });
const headers = { [SCHEMA_HEADER]: Buffer.from(SCHEMA_VERSION) };

/** What the tables hold when they are written once, with all that the records come to. */
export const expectedOf = async (records: readonly TestRecord[]): ReturnType<TestDatabase['dump']> => {
  const database = await createDatabase();
  const loader = new Loader(database.url);
  try {
    await loader.load(foldRows(records.map(({ topic, value }) => foldRecord(folds, { topic, value, headers }))));
    return await database.dump();
  } finally {
    await loader.close();
    await database.drop();
  }
};

/** The longest of some histories, always the same for a name. */
export const historyOf = (options: HistoryOptions & { readonly name: string }): TestRecord[] => {
  const some = fc.sample(histories(options), { seed: Buffer.from(options.name).readUIntBE(0, Math.min(4, options.name.length)), numRuns: 30 });
  const longest = some.reduce((most, one) => (one.records.length > most.records.length ? one : most));
  return longest.records.map(({ topic, text }: HistoryRecord) => ({ topic, value: Buffer.from(text) }));
};
