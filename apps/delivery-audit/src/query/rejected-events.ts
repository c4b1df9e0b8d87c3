import { isUtf8 } from 'node:buffer';
import { eventDoor, rejectionCode, type Page, type RejectedEventView, type Rejection, type WholeRejectedEventView } from '@posthorn/contracts';
import { z } from 'zod';
import type { Database } from './database.js';
import { listedBetween, listParameters, pageOf, text } from './listing.js';
import { Conditions, withoutNulls } from './sql.js';

const { event_type: _typeIsNotKnown, subject: _norIsTheSubject, ...timeAndPage } = listParameters;

export const rejectedEventsQuery = z.strictObject({
  ...timeAndPage,
  code: rejectionCode.optional(),
  door: eventDoor.optional(),
  event_id: text.optional(),
});
export type RejectedEventsQuery = z.output<typeof rejectedEventsQuery>;

type Asked = Pick<Database, 'query'>;

/** One tenant's; those of which cannot be told whose they are; or all, both of these. */
export type Whose = { readonly tenant: string } | 'nobody' | 'all';

const belongingTo = (whose: Whose): Conditions => {
  const conditions = new Conditions();
  if (whose === 'all') return conditions;
  return whose === 'nobody' ? conditions.add('tenant is null') : conditions.add('tenant = ?', whose.tenant);
};

type Row = {
  readonly id: string;
  readonly tenant: string | null;
  readonly rejected_at: Date;
  readonly door: Rejection['door'];
  readonly code: Rejection['reason']['code'];
  readonly message: string;
  readonly path: string | null;
  readonly errors: Rejection['reason']['errors'] | null;
  readonly event_id: string | null;
  readonly record: Rejection['record'] | null;
  readonly value_bytes: number;
  readonly truncated: boolean;
  readonly published_as: string | null;
  readonly published_at: Date | null;
};

const COLUMNS = `id, tenant, rejected_at, door, code, message, path, errors, event_id, record, octet_length(value) as value_bytes, truncated,
  published_as, published_at`;

const viewOf = ({ rejected_at, code, message, path, errors, published_at, ...row }: Row): RejectedEventView =>
  withoutNulls({
    ...row,
    rejected_at: rejected_at.toISOString(),
    reason: withoutNulls({ code, message, path, errors }),
    published_at: published_at && published_at.toISOString(),
  }) as RejectedEventView; // `record` lost its null, which the type of the mapping does not see through

export const listRejectedEvents = async (database: Asked, whose: Whose, query: RejectedEventsQuery): Promise<Page<RejectedEventView>> => {
  const conditions = listedBetween(belongingTo(whose), 'rejected_at', query)
    .add('code = ?', query.code)
    .add('door = ?', query.door)
    .add('event_id = ?', query.event_id);
  const limit = conditions.parameter(query.page_size + 1);
  const rows = await database.query<Row>(
    `select ${COLUMNS} from audit.rejected_events ${conditions.where} order by rejected_at desc, id desc limit ${limit}`,
    conditions.parameters,
  );
  return pageOf(rows, query.page_size, ({ rejected_at, id }) => ({ at: rejected_at, id }), viewOf);
};

/** A refused event with all that is kept of it. */
export type RejectedEvent = {
  readonly view: RejectedEventView;
  readonly day: string;
  readonly headers: Rejection['headers'];
  readonly value: Buffer;
};

type WholeRow = Row & { readonly day: string; readonly headers: Rejection['headers']; readonly value: Buffer };

/** Of a record that was judged again after midnight: the newest. */
export const readRejectedEvent = async (database: Asked, whose: Whose, id: string): Promise<RejectedEvent | undefined> => {
  const conditions = belongingTo(whose).add('id = ?', id);
  const [row] = await database.query<WholeRow>(
    `select ${COLUMNS}, day::text, headers, value from audit.rejected_events ${conditions.where} order by day desc limit 1`,
    conditions.parameters,
  );
  if (row === undefined) return undefined;
  const { day, headers, value, ...rest } = row;
  return { view: viewOf(rest), day, headers, value };
};

export const wholeViewOf = ({ view, headers, value }: RejectedEvent): WholeRejectedEventView => ({
  ...view,
  headers,
  ...(isUtf8(value) ? { value: value.toString() } : { value_base64: value.toString('base64') }),
});

/** That it was published after all. No record says so: it is kept here alone. */
export const markPublished = async (
  database: Asked,
  { view, day }: Pick<RejectedEvent, 'view' | 'day'>,
  eventId: string,
): Promise<void> => {
  await database.query('update audit.rejected_events set published_as = $1, published_at = now() where id = $2 and day = $3::date', [
    eventId,
    view.id,
    day,
  ]);
};
