import type { Page } from '@posthorn/contracts';
import { decodePageToken, encodePageToken, z } from '@posthorn/service-kit';

/** What every list here is asked with. */
export type PageQuery = { readonly page_size: number; readonly page_token?: string | undefined };

export type PageRequest = {
  /** Id that the page comes after; empty for the first page. Lists go by id, which for drawn ones is by age, newest last. */
  readonly after: string;
  readonly size: number;
};

const ID = z.string().regex(/^[a-z0-9_-]{1,128}$/);

/**
 * @param place what the list goes by
 * @throws {Problem} `invalid` when the token is not one of ours
 */
export const pageRequest = ({ page_size, page_token }: PageQuery, place: z.ZodType<string> = ID): PageRequest => ({
  after: page_token === undefined ? '' : decodePageToken(place, page_token),
  size: page_size,
});

/**
 * @param rows one more than `size` when there is a next page
 * @param placeOf what the list goes by
 */
export const pageOf = <Row, T>(
  rows: readonly Row[],
  size: number,
  view: (row: Row) => T,
  placeOf: (row: Row) => string | number,
): Page<T> => {
  const shown = rows.slice(0, size);
  const last = shown.at(-1);
  return {
    data: shown.map(view),
    ...(last !== undefined && rows.length > size && { next_page_token: encodePageToken(placeOf(last)) }),
  };
};

export const byId = ({ id }: { readonly id: string }): string => id;
