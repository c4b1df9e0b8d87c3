import type { Page } from '@posthorn/contracts';

/** The pages of a list, one after the other, each when it is asked for. */
export const pagesOf = async function* <Item>(list: (pageToken: string | undefined) => Promise<Page<Item>>): AsyncGenerator<readonly Item[], void> {
  let pageToken: string | undefined;
  do {
    const page: Page<Item> = await list(pageToken);
    yield page.data;
    pageToken = page.next_page_token;
  } while (pageToken !== undefined);
};
