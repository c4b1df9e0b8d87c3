import type { Envelope } from '@posthorn/contracts';
import type { Queryable } from '../registry/subscriptions.js';

/** An event is found by its tenant, its id and the day of its acceptance. */
export type EventKey = { readonly day: string; readonly event_id: string };

export type StoredEvent = { readonly envelope: Envelope; readonly data: Buffer };

type Row = {
  readonly day: string;
  readonly id: string;
  readonly type: string;
  readonly source: string;
  readonly subject: string | null;
  readonly time: string;
  readonly accepted_at: Date;
  readonly key: string | null;
  readonly content_type: string | null;
  readonly traceparent: string | null;
  readonly headers: Envelope['headers'] | null;
  /** JSON: null is a context too. */
  readonly context: string | null;
  readonly extensions: Envelope['extensions'] | null;
  readonly data: Buffer;
};

const READ = `
  select event.day::text as day, id, type, source, subject, time, accepted_at, key, content_type, traceparent, headers, context::text as context, extensions, data
    from unnest($2::date[], $3::text[]) as wanted (day, event_id)
    join audit.events event on event.tenant = $1 and event.id = wanted.event_id and event.day = wanted.day`;

export const eventKey = ({ day, event_id }: EventKey): string => `${day} ${event_id}`;

/** As it was accepted. */
const envelopeOf = (tenant: string, row: Row): Envelope => ({
  specversion: '1.0',
  id: row.id,
  tenant,
  type: row.type,
  source: row.source,
  time: row.time,
  acceptedtime: row.accepted_at.toISOString(),
  ...(row.subject !== null && { subject: row.subject }),
  ...(row.content_type !== null && { datacontenttype: row.content_type }),
  ...(row.key !== null && { partitionkey: row.key }),
  ...(row.traceparent !== null && { traceparent: row.traceparent }),
  ...(row.headers !== null && { headers: row.headers }),
  ...(row.context !== null && { context: JSON.parse(row.context) as unknown }),
  ...(row.extensions !== null && { extensions: row.extensions }),
});

/** Those of a tenant's events that are still kept, by `eventKey`. How much memory they take is the caller's affair. */
export const readEvents = async (database: Queryable, tenant: string, keys: readonly EventKey[]): Promise<ReadonlyMap<string, StoredEvent>> => {
  if (keys.length === 0) return new Map();
  const rows = await database.query<Row>(READ, [tenant, keys.map(({ day }) => day), keys.map(({ event_id }) => event_id)]);
  return new Map(rows.map((row) => [eventKey({ day: row.day, event_id: row.id }), { envelope: envelopeOf(tenant, row), data: row.data }]));
};

type Sized = EventKey & { readonly bytes: number };

/** How many of the first have, together, no more than so many bytes of events, each event counted once; at least one. */
export const countWithin = <Wanted extends Sized>(wanted: readonly Wanted[], mostBytes: number, keyOf: (wanted: Wanted) => string = eventKey): number => {
  const counted = new Set<string>();
  let bytes = 0;
  for (const [index, one] of wanted.entries()) {
    const key = keyOf(one);
    if (!counted.has(key)) bytes += one.bytes;
    counted.add(key);
    if (index > 0 && bytes > mostBytes) return index;
  }
  return wanted.length;
};
