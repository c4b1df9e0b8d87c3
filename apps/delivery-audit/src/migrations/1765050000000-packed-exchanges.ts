import type { MigrationInterface, QueryRunner } from 'typeorm';
import { packExchange, unpackExchange, type Exchange } from '../exchange.js';

const STEP = 2_000;

type Old = { readonly request: string; readonly response: string | null; readonly error: string | null };
type Place = { readonly partition: string; readonly place: string; readonly started_ms: number };

/**
 * What an attempt sent and got, packed (`exchange.ts`), instead of three columns of JSON: these were two thirds of a row. It is packed here and not
 * by SQL, which fails on some of what JSON can hold. Columns that were wider than what they hold are narrowed.
 *
 * Values over 2 KB are compressed by PostgreSQL: by LZ4 where the server has it, which takes a fraction of the time of its own method.
 */
export class PackedExchanges1765050000000 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      alter table audit.attempts
        alter column number type smallint,
        alter column duration_ms type real,
        add column exchange text collate "C"`);
    await eachStep<Old>(runner, 'exchange is null', 'request::text, response::text, error::text', 'exchange = step.packed', ({ request, response, error, started_ms }) => {
      const exchange: Exchange = {
        request: JSON.parse(request) as Exchange['request'],
        ...(response !== null && { response: JSON.parse(response) as NonNullable<Exchange['response']> }),
        ...(error !== null && { error: JSON.parse(error) as NonNullable<Exchange['error']> }),
      };
      return packExchange(exchange, started_ms);
    });
    await runner.query(`
      alter table audit.attempts
        alter column exchange set not null,
        drop column request,
        drop column response,
        drop column error`);
    await runner.query(`comment on column audit.attempts.exchange is 'request, response and error, as exchange.ts packs them'`);
    const lz4 = (await runner.query(`select 'lz4' = any(enumvals) as known from pg_settings where name = 'default_toast_compression'`)) as { readonly known: boolean }[];
    if (lz4[0]?.known !== true) return;
    for (const column of ['attempts.exchange', 'events.data', 'rejected_events.value']) {
      const [table, name] = column.split('.');
      await runner.query(`alter table audit.${table} alter column ${name} set compression lz4`);
    }
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`alter table audit.attempts add column request json, add column response json, add column error json`);
    await eachStep<{ readonly exchange: string; readonly status_code: number | null; readonly error_code: string | null }>(
      runner,
      'request is null',
      'exchange, status_code, error_code',
      `request = step.packed::json->'request', response = step.packed::json->'response', error = step.packed::json->'error'`,
      ({ exchange, status_code, error_code, started_ms }) =>
        JSON.stringify(unpackExchange(exchange, { startedMs: started_ms, statusCode: status_code, errorCode: error_code })),
    );
    await runner.query(`
      alter table audit.attempts
        alter column request set not null,
        alter column number type integer,
        alter column duration_ms type double precision,
        drop column exchange`);
  }
}

/** Rewrites the attempts that are left, so many at a time: `pack` makes of what is selected what the assignment takes as `step.packed`. */
const eachStep = async <Row>(runner: QueryRunner, left: string, select: string, assignment: string, pack: (row: Row & Place) => string): Promise<void> => {
  for (;;) {
    const rows = (await runner.query(
      `select tableoid::regclass::text as partition, ctid::text as place, (extract(epoch from started_at) * 1000)::double precision as started_ms, ${select}
       from audit.attempts where ${left} limit ${STEP}`,
    )) as (Row & Place)[];
    if (rows.length === 0) return;
    for (const [partition, ofIt] of Map.groupBy(rows, (row) => row.partition)) {
      await runner.query(
        `update ${partition} as known set ${assignment} from unnest($1::tid[], $2::text[]) as step (place, packed) where known.ctid = step.place`,
        [ofIt.map(({ place }) => place), ofIt.map(pack)],
      );
    }
  }
};
