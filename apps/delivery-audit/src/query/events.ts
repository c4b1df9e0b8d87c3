import { isJsonMediaType, type Duplicates, type Envelope, type EventView, type Page } from '@posthorn/contracts';
import { z } from 'zod';
import type { Database } from './database.js';
import { findDuplicates } from './duplicates.js';
import { listedBetween, listParameters, ofSubject, pageOf } from './listing.js';
import { Conditions, withoutNulls } from './sql.js';

export const eventsQuery = z.strictObject(listParameters);
export type EventsQuery = z.output<typeof eventsQuery>;

type Row = {
  readonly id: string;
  readonly tenant: string;
  readonly type: string;
  readonly source: string;
  readonly subject: string | null;
  readonly time: string;
  readonly accepted_at: Date;
  readonly key: string | null;
  readonly content_type: string | null;
  readonly headers: unknown;
  readonly context: unknown;
  readonly extensions: unknown;
};

const COLUMNS = 'id, tenant, type, source, subject, time, accepted_at, key, content_type, headers, context, extensions';

const viewOf = ({ id, tenant, type, source, subject, time, accepted_at, key, content_type, headers, context, extensions }: Row): EventView =>
  withoutNulls({
    id,
    tenant,
    type,
    source,
    subject,
    time,
    accepted_at: accepted_at.toISOString(),
    key,
    content_type,
    headers,
    context,
    extensions,
  }) as EventView;

export const listEvents = async (database: Pick<Database, 'query'>, tenant: string, query: EventsQuery): Promise<Page<EventView>> => {
  const conditions = listedBetween(new Conditions().add('tenant = ?', tenant), 'accepted_at', query).add('type = ?', query.event_type);
  ofSubject(conditions, query.subject);
  const limit = conditions.parameter(query.page_size + 1);
  const rows = await database.query<Row>(
    `select ${COLUMNS} from audit.events where ${conditions.text} order by accepted_at desc, id desc limit ${limit}`,
    conditions.parameters,
  );
  return pageOf(rows, query.page_size, ({ accepted_at, id }) => ({ at: accepted_at, id }), viewOf);
};

/** An id that was used again on a later day (ids are remembered for a day): the newest of them. */
const ONE = (conditions: Conditions, columns: string): string =>
  `select ${columns} from audit.events where ${conditions.text} order by day desc limit 1`;

/** An event as the API shows it, with its data as it came; undefined when there is no such event. */
export const readWholeEvent = async (
  database: Pick<Database, 'query'>,
  tenant: string,
  id: string,
): Promise<{ readonly event: EventView & { readonly duplicates?: Duplicates | undefined }; readonly data: Buffer } | undefined> => {
  const conditions = new Conditions().add('tenant = ? and id = ?', tenant, id);
  const [row] = await database.query<Row & { readonly day: string; readonly data: Buffer }>(ONE(conditions, `${COLUMNS}, day::text, data`), conditions.parameters);
  if (row === undefined) return undefined;
  return { event: { ...viewOf(row), duplicates: await findDuplicates(database, tenant, id, row.day) }, data: row.data };
};

/** The event as JSON. Its data is put in byte for byte as the producer wrote it, as `data`, or as `data_base64` when it is not JSON. */
export const readEvent = async (database: Pick<Database, 'query'>, tenant: string, id: string): Promise<Buffer | undefined> => {
  const found = await readWholeEvent(database, tenant, id);
  if (found === undefined) return undefined;
  const { event, data } = found;
  const head = JSON.stringify(event).slice(0, -1);
  return isJsonMediaType(event.content_type)
    ? Buffer.concat([Buffer.from(`${head},"data":`), data, Buffer.from('}')])
    : Buffer.from(`${head},"data_base64":"${data.toString('base64')}"}`);
};

/** An event as it was accepted, and the day under which it and its deliveries are kept. */
export type FoundEvent = { readonly day: string; readonly envelope: Envelope; readonly data: Buffer };

/** What of it an expression sees; undefined when there is no such event. */
export const findEvent = async (database: Pick<Database, 'query'>, tenant: string, id: string): Promise<FoundEvent | undefined> => {
  const conditions = new Conditions().add('tenant = ? and id = ?', tenant, id);
  const [row] = await database.query<Row & { readonly day: string; readonly data: Buffer }>(ONE(conditions, `${COLUMNS}, day::text, data`), conditions.parameters);
  if (row === undefined) return undefined;
  const { key, content_type, accepted_at } = row;
  const { subject, headers, context } = viewOf(row);
  const envelope: Envelope = {
    specversion: '1.0',
    id,
    tenant,
    type: row.type,
    source: row.source,
    time: row.time,
    acceptedtime: accepted_at.toISOString(),
    ...(subject !== undefined && { subject }),
    ...(key !== null && { partitionkey: key }),
    ...(content_type !== null && { datacontenttype: content_type }),
    ...(headers !== undefined && { headers }),
    ...(context !== undefined && { context }),
  };
  return { day: row.day, envelope, data: row.data };
};

/** The day under which an event and its deliveries are kept; undefined when there is no such event. */
export const dayOfEvent = async (database: Pick<Database, 'query'>, tenant: string, id: string): Promise<string | undefined> => {
  const conditions = new Conditions().add('tenant = ? and id = ?', tenant, id);
  const [row] = await database.query<{ readonly day: string }>(ONE(conditions, 'day::text'), conditions.parameters);
  return row?.day;
};
