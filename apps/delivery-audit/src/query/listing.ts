import { pageQuery, type Page } from '@posthorn/contracts';
import { decodePageToken, encodePageToken } from '@posthorn/service-kit';
import { z } from 'zod';
import type { Conditions } from './sql.js';

/** Years that PostgreSQL, or the four digits of RFC 3339, cannot hold are refused; an offset can lead to one. */
export const time = z.iso
  .datetime({ offset: true, error: 'an RFC 3339 time like 2026-01-31T12:00:00Z' })
  .transform((text) => new Date(text).toISOString())
  .refine((utc) => utc >= '0001' && utc < '9999', 'a time between the years 1 and 9998');

export const text = z.string().min(1).max(1024);

/** Parameters of every list, newest first. `from` is in the list, `to` is not. */
export const listParameters = {
  event_type: text.optional(),
  subject: text.optional(),
  from: time.optional().describe('Inclusive'),
  to: time.optional().describe('Exclusive'),
  ...pageQuery,
};

export type Listing = {
  readonly from?: string | undefined;
  readonly to?: string | undefined;
  readonly page_size: number;
  readonly page_token?: string | undefined;
};

/** The last row of the page before: its time and its id, as it is stored. */
const positionOf = (id: z.ZodType<string>) => z.tuple([time, id]);

/** Bounds in time also bound the day, which is what lets PostgreSQL leave whole partitions out. */
export const boundedBy = (conditions: Conditions, column: string, { from, to }: Pick<Listing, 'from' | 'to'>): Conditions =>
  conditions
    .add(`${column} >= ?::timestamptz and day >= ?::date`, from, from?.slice(0, 10))
    .add(`${column} < ?::timestamptz and day <= ?::date`, to, to?.slice(0, 10));

/** Of events, whose index has the beginning of a subject only (`migrations/1765400000000-long-subjects.ts`). */
export const ofSubject = (conditions: Conditions, subject: string | undefined): Conditions => conditions.add('left(subject, 256) = left(?, 256) and subject = ?', subject, subject);

/** Where the page before ended; undefined for the first page. @throws {Problem} for a token that is none */
export const placeOf = ({ page_token }: Pick<Listing, 'page_token'>, id: z.ZodType<string> = z.string()): { readonly at: string; readonly id: string } | undefined => {
  if (page_token === undefined) return undefined;
  const [at, last] = decodePageToken(positionOf(id), page_token);
  return { at, id: last };
};

/** What is listed by a time and an id of its own: between the bounds, and after the page before. */
export const listedBetween = (conditions: Conditions, column: string, listing: Listing, id?: z.ZodType<string>): Conditions => {
  const place = placeOf(listing, id);
  return boundedBy(conditions, column, listing).add(
    `(${column}, id) < (?::timestamptz, ?) and day <= ?::date`,
    place?.at,
    place?.id,
    place?.at.slice(0, 10),
  );
};

/** Turns one row more than the page holds into the page and the token of the next. */
export const pageOf = <Row, View>(
  rows: readonly Row[],
  size: number,
  place: (row: Row) => { readonly at: Date; readonly id: string },
  view: (row: Row) => View,
): Page<View> => {
  const data = rows.slice(0, size).map(view);
  const last = rows[size - 1];
  if (rows.length <= size || last === undefined) return { data };
  const { at, id } = place(last);
  return { data, next_page_token: encodePageToken([at.toISOString(), id]) };
};
