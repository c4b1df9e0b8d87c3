import { pageSize, type Page } from '@posthorn/contracts';
import { decodePageToken, encodePageToken } from '@posthorn/service-kit';
import { z } from 'zod';

/** Query of every list here. Lists go by id, which for subscriptions is by age, newest last. */
export const pageQuery = { page_size: pageSize, page_token: z.string().optional() };

export type PageRequest = {
  /** Id that the page comes after; empty for the first page. */
  readonly after: string;
  readonly size: number;
};

const ID = z.string().regex(/^[a-z0-9_-]{1,128}$/);

/** @throws {Problem} `invalid` when the token is not one of ours */
export const pageRequest = ({ page_size, page_token }: { page_size: number; page_token?: string | undefined }): PageRequest => ({
  after: page_token === undefined ? '' : decodePageToken(ID, page_token),
  size: page_size,
});

/** @param rows one more than `size` when there is a next page */
export const pageOf = <Row extends { readonly id: string }, T>(
  rows: readonly Row[],
  size: number,
  view: (row: Row) => T,
): Page<T> => {
  const shown = rows.slice(0, size);
  const last = shown.at(-1);
  return {
    data: shown.map(view),
    ...(last && rows.length > size && { next_page_token: encodePageToken(last.id) }),
  };
};
