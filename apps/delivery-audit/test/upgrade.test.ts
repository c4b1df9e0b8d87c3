import { expect, it } from '@jest/globals';
import { deliveryId } from '@posthorn/contracts';
import { migrate } from '@posthorn/event-store';
import { foldRows } from '../src/loading/fold.js';
import { Loader } from '../src/loading/loader.js';
import { rowsOfAttempted, rowsOfRouted } from '../src/loading/records.js';
import { migrations, SCHEMA } from '../src/migrations/migrations.js';
import { RoundsAndWaiting1765000000000 } from '../src/migrations/1765000000000-rounds-and-waiting.js';
import { createDatabase } from './database.js';
import { attempted, envelopeOf, outcomeOf, routed } from './records.js';

it('goes on with the history of an older version: what was loaded before is found, and not loaded twice', async () => {
  const database = await createDatabase(migrations.slice(0, migrations.indexOf(RoundsAndWaiting1765000000000)));
  const event = envelopeOf('e1', '2026-11-20T12:00:00.000Z');
  const id = deliveryId('default', 'e1', 'sub_1');
  for (const table of ['events', 'decisions', 'deliveries', 'attempts', 'rejected_events']) {
    await database.query(`create table audit.${table}_20261120 partition of audit.${table} for values from ('2026-11-20') to ('2026-11-21')`);
  }
  await database.query(
    `insert into audit.deliveries (day, id, tenant, event_id, event_type, subscription_id, created_at, round, number, status, updated_at, attempts)
     values ('2026-11-20', $1, 'default', 'e1', 'invoice.paid', 'sub_1', $2, 0, 1, 'retrying', $2, 1)`,
    [id, event.acceptedtime],
  );
  await database.query(
    `insert into audit.attempts (day, delivery_id, round, number, tenant, subscription_id, trigger, status, started_at, duration_ms, request)
     values ('2026-11-20', $1, 0, 1, 'default', 'sub_1', 'first', 'retrying', $2, 12.5, '{"url": "https://example.com/hook", "headers": {}}')`,
    [id, event.acceptedtime],
  );
  await migrate({ url: database.url, schema: SCHEMA, migrations });
  const loader = new Loader(database.url);
  const failed = outcomeOf(event, 'sub_1', { status: 'retrying', at: event.acceptedtime });
  const records = [attempted(failed), attempted(outcomeOf(event, 'sub_1', { number: 2, trigger: 'retry' }))].map(({ value }) => rowsOfAttempted(value));
  await loader.load(foldRows([...records, rowsOfRouted(routed(event, ['sub_1']).value)]));
  await loader.close();
  expect(await database.query('select status, number, attempts from audit.deliveries')).toEqual([{ status: 'delivered', number: 2, attempts: 2 }]);
  expect(await database.query('select number, status, started_at from audit.attempts order by number')).toMatchObject([{ number: 1, status: 'retrying' }, { number: 2, status: 'delivered' }]);
  const invalid = await database.query(`select indexrelid::regclass from pg_index join pg_class on pg_class.oid = indrelid where relnamespace = 'audit'::regnamespace and not indisvalid`);
  const missing = await database.query(
    `select count(*)::integer as indexes from pg_inherits join pg_index on indrelid = inhrelid where inhparent = 'audit.deliveries'::regclass group by inhrelid
     having count(*) <> (select count(*) from pg_index where indrelid = 'audit.deliveries'::regclass)`,
  );
  expect([invalid, missing]).toEqual([[], []]);
  await database.drop();
}, 60_000);
