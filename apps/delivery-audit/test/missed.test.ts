import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { foldRows } from '../src/loading/fold.js';
import { Loader } from '../src/loading/loader.js';
import { rowsOfAccepted } from '../src/loading/records.js';
import { countMissed } from '../src/query/missed.js';
import { createDatabase, type TestDatabase } from './database.js';
import { accepted, envelopeOf } from './records.js';

const EVENTS = 501_000;
const asked = { from: '2026-11-20T00:00:00.000Z', to: '2026-11-21T00:00:00.000Z' };

let database: TestDatabase;
const plans: string[] = [];

/** Asks, and keeps how PostgreSQL goes about it. */
const counting = {
  query: async <Row>(sql: string, parameters: readonly unknown[] = []): Promise<Row[]> => {
    const plan = await database.query<{ 'QUERY PLAN': string }>(`explain ${sql}`, [...parameters]);
    plans.push(plan.map((line) => line['QUERY PLAN']).join('\n'));
    return (await database.query(sql, [...parameters])) as Row[];
  },
};

beforeAll(async () => {
  database = await createDatabase();
  const loader = new Loader(database.url);
  // Makes the partition, and is of another day's and another tenant's.
  await loader.load(foldRows([rowsOfAccepted(accepted(envelopeOf('other', '2026-11-20T12:00:00.000Z', { tenant: 'other' })).value)]));
  await loader.load(foldRows([rowsOfAccepted(accepted(envelopeOf('later', '2026-11-21T12:00:00.000Z')).value)]));
  await loader.close();
  await database.query(
    `insert into audit.events (day, tenant, id, type, source, time, accepted_at, data)
     select '2026-11-20', 'default', 'e' || n, case when n % 1000 = 0 then 'order.placed' else 'invoice.paid' end, '/', '', timestamptz '2026-11-20T00:00:00Z' + n * interval '100 ms', ''
       from generate_series(1, ${EVENTS}) as n`,
  );
  await database.query('analyze audit.events');
}, 120_000);

afterAll(() => database.drop());

it('ends at a hundred thousand, and says that there are more', async () => {
  expect(await countMissed(counting, 'default', { ...asked, event_types: ['invoice.*'] })).toEqual({ deliveries: 100_000, at_least: true });
});

it('looks for rare ones among half a million, and says that there may be more', async () => {
  expect(await countMissed(counting, 'default', { ...asked, event_types: ['order.placed'] })).toEqual({ deliveries: 500, at_least: true });
});

it('is exact when it has seen all', async () => {
  expect(await countMissed(counting, 'default', { from: asked.from, to: '2026-11-20T01:00:00.000Z', event_types: ['order.*'] })).toEqual({ deliveries: 35, at_least: false });
});

it('reads an hour of a busy day by the index', async () => {
  plans.length = 0;
  await countMissed(counting, 'default', { from: '2026-11-20T03:00:00.000Z', to: '2026-11-20T04:00:00.000Z', event_types: ['order.*'] });
  expect(plans[0]).toMatch(/Index (?:Only )?Scan|Bitmap Index Scan/);
  expect(plans[0]).not.toMatch(/Seq Scan on events/);
});
