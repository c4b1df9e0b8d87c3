import { expect, it } from '@jest/globals';
import { migrate } from '@posthorn/event-store';
import { Client } from 'pg';
import { unpackExchange } from '../src/exchange.js';
import { migrations, SCHEMA } from '../src/migrations/migrations.js';
import { PackedExchanges1765050000000 } from '../src/migrations/1765050000000-packed-exchanges.js';
import { createDatabase } from './database.js';

const request = { url: 'https://example.com/hook', headers: { 'webhook-id': 'e1', 'x-odd': 'a\0b\u{D800}' } };
const response = { status: 503, headers: { server: 'nginx' }, body: 'a\0b', truncated: true };
const error = { code: 'bad_status', message: 'answered 503' };

it('packs the attempts that there are', async () => {
  const database = await createDatabase(migrations.slice(0, migrations.indexOf(PackedExchanges1765050000000)));
  const client = new Client(database.url);
  await client.connect();
  await client.query(`create table audit.attempts_20261120 partition of audit.attempts for values from ('2026-11-20') to ('2026-11-21')`);
  await client.query(
    `insert into audit.attempts (day, delivery_id, round, number, trigger, status, started_at, duration_ms, status_code, error_code, request, response, error)
     select '2026-11-20', gen_random_uuid(), 0, 1, 'first', 'failed', '2026-11-20T10:00:00.123Z', 12.5, 503, 'bad_status', $1, $2, $3 from generate_series(1, 4500)`,
    [JSON.stringify(request), JSON.stringify(response), JSON.stringify(error)],
  );
  await migrate({ url: database.url, schema: SCHEMA, migrations });
  const { rows } = await client.query<{ exchange: string; started_at: Date; duration_ms: number; count: number }>(
    'select exchange, started_at, duration_ms, count(*)::integer from audit.attempts group by 1, 2, 3',
  );
  expect(rows).toMatchObject([{ duration_ms: 12.5, count: 4_500 }]);
  expect(rows.map((row) => unpackExchange(row.exchange, { startedMs: row.started_at.getTime(), statusCode: 503, errorCode: 'bad_status' }))).toEqual([{ request, response, error }]);
  await client.end();
  await database.drop();
}, 60_000);
