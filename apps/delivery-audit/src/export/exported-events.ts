import { isJsonMediaType, type EventView } from '@posthorn/contracts';
import type { Database } from '../query/database.js';
import { listEvents, type EventsQuery } from '../query/events.js';
import type { Exported, Searched } from './exported.js';
import { pagesOf } from './pages.js';

type WithData = { readonly event: EventView; readonly data: Buffer };

const EVENTS_PER_PAGE = 500;
/** Of data that is held at once, but for the last event that fits: events have up to 256 KiB each, most of them a few. */
const MOST_BYTES = 1024 * 1024;

/** Lengths are known without reading what they are the lengths of: what does not fit is not read. */
const DATA = `
  select place::integer, data from (
    select place, data, sum(octet_length(data)) over (order by place) - octet_length(data) as before
    from unnest($2::text[], $3::date[]) with ordinality as wanted (id, on_day, place)
    join audit.events event on event.tenant = $1 and event.id = wanted.id and event.day = wanted.on_day
  ) sized where before < ${MOST_BYTES} order by place`;

/** As many of the first events as fit. One that was dropped meanwhile is left out. */
const readData = async (database: Database, tenant: string, events: readonly EventView[]): Promise<{ readonly read: readonly WithData[]; readonly upTo: number }> => {
  const rows = await database.query<{ readonly place: number; readonly data: Buffer }>(DATA, [
    tenant,
    events.map(({ id }) => id),
    events.map(({ accepted_at }) => accepted_at.slice(0, 'yyyy-mm-dd'.length)),
  ]);
  const read = rows.flatMap(({ place, data }) => events.slice(place - 1, place).map((event) => ({ event, data })));
  return { read, upTo: rows.at(-1)?.place ?? events.length };
};

const pages = async function* (database: Database, tenant: string, query: Searched<EventsQuery>): AsyncGenerator<readonly WithData[], void> {
  for await (const events of pagesOf((page_token) => listEvents(database, tenant, { ...query, page_size: EVENTS_PER_PAGE, page_token }))) {
    for (let left = events; left.length > 0; ) {
      const { read, upTo } = await readData(database, tenant, left);
      yield read;
      left = left.slice(upTo);
    }
  }
};

const COLUMNS = ['id', 'tenant', 'type', 'source', 'subject', 'time', 'accepted_at', 'key', 'content_type', 'headers', 'context', 'extensions'] as const satisfies (keyof EventView)[];

const isJson = ({ content_type }: EventView): boolean => isJsonMediaType(content_type);

const [LINE_FEED, CARRIAGE_RETURN, SPACE] = [0x0a, 0x0d, 0x20];

/** JSON has line ends between its tokens only, where a space means the same. */
const onOneLine = (json: Buffer): Buffer => {
  if (!json.includes(LINE_FEED) && !json.includes(CARRIAGE_RETURN)) return json;
  return Buffer.from(json.map((byte) => (byte === LINE_FEED || byte === CARRIAGE_RETURN ? SPACE : byte)));
};

/** The producer's bytes go out as they came in, but for the line ends. */
const jsonOf = ({ event, data }: WithData): Buffer => {
  const head = JSON.stringify(event).slice(0, -1);
  return isJson(event)
    ? Buffer.concat([Buffer.from(`${head},"data":`), onOneLine(data), Buffer.from('}')])
    : Buffer.from(`${head},"data_base64":"${data.toString('base64')}"}`);
};

/** The events that a query finds, with their data. */
export const exportedEvents = (database: Database, tenant: string, query: Searched<EventsQuery>): Exported<WithData> => ({
  name: 'events',
  columns: [...COLUMNS, 'data', 'data_base64'],
  pages: pages(database, tenant, query),
  cells: ({ event, data }) => [...COLUMNS.map((column) => event[column]), ...(isJson(event) ? [data.toString(), undefined] : [undefined, data.toString('base64')])],
  json: jsonOf,
});
