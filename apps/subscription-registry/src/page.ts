import { eventTypeName, tenantId, type Page } from '@posthorn/contracts';
import { decodePageToken, encodePageToken, z } from '@posthorn/service-kit';

/** What every list here is asked with. */
export type PageQuery = { readonly page_size: number; readonly page_token?: string | undefined };

export type PageRequest = {
  /** Id that the page comes after; empty for the first page. Lists go by id, which for drawn ones is by age, newest last. */
  readonly after: string;
  readonly size: number;
};

/** What each list goes by, and so what its tokens hold. */
const PLACES = {
  tenants: tenantId,
  event_types: eventTypeName,
  subscriptions: z.string().regex(/^sub_[0-9a-f]{32}$/),
  api_keys: z.string().regex(/^key_[0-9a-f]{32}$/),
} as const satisfies Readonly<Record<string, z.ZodType<string>>>;

/** @throws {Problem} `invalid` when the token is not one of this list */
export const pageRequest = (list: keyof typeof PLACES, { page_size, page_token }: PageQuery): PageRequest => ({
  after: page_token === undefined ? '' : decodePageToken(PLACES[list], page_token),
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
