import { z } from 'zod';

/** `{data, next_page_token}`: every list. The token is absent on the last page. */
export type Page<T> = { readonly data: readonly T[]; readonly next_page_token?: string };

export const pageSize = z.coerce.number().int().min(1).max(250).default(50);

/** Query members of every list. */
export const pageQuery = {
  page_size: pageSize.describe('1 to 250'),
  page_token: z.string().max(1024).optional().describe('`next_page_token` of the page before'),
};

/** The answer of a list of these. */
export const pageSchema = <S extends z.ZodType>(item: S) =>
  z.object({ data: z.array(item), next_page_token: z.string().optional().describe('Absent on the last page') });

/** A switch in a query. */
export const queryFlag = z.enum(['true', 'false']).transform((text) => text === 'true');
