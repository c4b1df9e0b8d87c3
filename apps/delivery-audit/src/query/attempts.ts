import { pageQuery, type AttemptView, type Page, type Trigger } from '@posthorn/contracts';
import { decodePageToken, encodePageToken } from '@posthorn/service-kit';
import { z } from 'zod';
import { unpackExchange } from '../exchange.js';
import type { Database } from './database.js';
import type { FoundDelivery } from './deliveries.js';
import { Conditions } from './sql.js';

export const attemptsQuery = z.strictObject(pageQuery);
export type AttemptsQuery = z.output<typeof attemptsQuery>;

/** Round and number of the last attempt of the page before. */
const position = z.tuple([z.int32(), z.int32()]);

type Row = {
  readonly round: number;
  readonly number: number;
  readonly started_at: Date;
  readonly duration_ms: number;
  readonly status_code: number | null;
  readonly error_code: string | null;
  readonly exchange: string;
  readonly trigger: Trigger;
  readonly subscription_version: number | null;
};

const COLUMNS = 'round, number, started_at, duration_ms, status_code, error_code, exchange, trigger, subscription_version';

const viewOf = ({ started_at, status_code, error_code, exchange, subscription_version, ...row }: Row): AttemptView => ({
  ...row,
  started_at: started_at.toISOString(),
  ...unpackExchange(exchange, { startedMs: started_at.getTime(), statusCode: status_code, errorCode: error_code }),
  ...(subscription_version !== null && { subscription_version }),
});

/** In the order in which they were made. */
export const listAttempts = async (
  database: Pick<Database, 'query'>,
  { day, stored }: Pick<FoundDelivery, 'day' | 'stored'>,
  { page_size, page_token }: AttemptsQuery,
): Promise<Page<AttemptView>> => {
  const conditions = new Conditions().add('day = ?::date and delivery_id = ?::uuid', day, stored);
  if (page_token !== undefined) {
    const [round, number] = decodePageToken(position, page_token);
    conditions.add('(round, number) > (?::integer, ?::integer)', String(round), String(number));
  }
  const rows = await database.query<Row>(
    `select ${COLUMNS} from audit.attempts where ${conditions.text} order by round, number limit ${page_size + 1}`,
    conditions.parameters,
  );
  const data = rows.slice(0, page_size).map(viewOf);
  const last = data.at(-1);
  return rows.length <= page_size || last === undefined
    ? { data }
    : { data, next_page_token: encodePageToken([last.round, last.number]) };
};

/** An attempt, and its delivery's place among those that were asked about, from 1. */
export type PlacedAttempt = { readonly place: number; readonly attempt: AttemptView };

/** The attempts of several deliveries: in the order of these, and then in that in which they were made; those behind the last one had, at most `size`. */
export const listAttemptsOf = async (
  database: Pick<Database, 'query'>,
  deliveries: readonly Pick<FoundDelivery, 'day' | 'stored'>[],
  after: PlacedAttempt | undefined,
  size: number,
): Promise<readonly PlacedAttempt[]> => {
  const rows = await database.query<Row & { readonly place: number }>(
    `select place::integer, ${COLUMNS}
     from unnest($1::uuid[], $2::date[]) with ordinality as delivery (id, on_day, place)
     join audit.attempts on delivery_id = delivery.id and day = delivery.on_day
     where (place, round, number) > ($3::integer, $4::integer, $5::integer) order by place, round, number limit $6`,
    [
      deliveries.map(({ stored }) => stored),
      deliveries.map(({ day }) => day),
      after?.place ?? 0,
      after?.attempt.round ?? 0,
      after?.attempt.number ?? 0,
      size,
    ],
  );
  return rows.map(({ place, ...row }) => ({ place, attempt: viewOf(row) }));
};
