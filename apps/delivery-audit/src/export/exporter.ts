import type { Readable } from 'node:stream';
import { Problem } from '@posthorn/service-kit';
import { partsOf, type Exported, type ExportFormat } from './exported.js';
import { Slots } from './slots.js';
import { streamOf } from './stream.js';

/** Exports at once: each has a page or two in memory, and a connection to PostgreSQL while it asks for the next. */
const MOST_EXPORTS = 8;
const MOST_PER_TENANT = 2;
/** When it is worth asking again, in seconds. */
const RETRY_AFTER = '5';

/** Lets exports begin, and writes them as they are read. */
export class Exporter {
  readonly #slots = new Slots(MOST_EXPORTS, MOST_PER_TENANT);

  get running(): number {
    return this.#slots.taken;
  }

  /**
   * The file as it is read. The first part is there when this resolves: what stands against an export as a whole is said instead of it, and
   * what happens later breaks it off.
   * @throws {Problem} `rate_limited`, `unavailable`
   */
  async begin<Row>(tenant: string, exported: Exported<Row>, format: ExportFormat): Promise<Readable> {
    const giveBack = this.#take(tenant);
    try {
      const pages = await begun(exported.pages);
      return streamOf(partsOf({ ...exported, pages }, format)).once('close', giveBack);
    } catch (error) {
      giveBack();
      throw error;
    }
  }

  /** The same for who writes it otherwise: row by row. @throws {Problem} `rate_limited`, `unavailable` */
  async *rows<Row>(tenant: string, { pages }: Pick<Exported<Row>, 'pages'>): AsyncGenerator<Row, void> {
    const giveBack = this.#take(tenant);
    try {
      for await (const page of pages) yield* page;
    } finally {
      giveBack();
    }
  }

  #take(tenant: string): () => void {
    const giveBack = this.#slots.take(tenant);
    if (giveBack === 'tenant_has_all') {
      throw new Problem('rate_limited', `${MOST_PER_TENANT} exports of this tenant are under way, which is the most.`, { headers: { 'retry-after': RETRY_AFTER } });
    }
    if (giveBack === 'all_taken') {
      throw new Problem('unavailable', 'As many exports as can be are under way.', { headers: { 'retry-after': RETRY_AFTER } });
    }
    return giveBack;
  }
}

/** The same pages, the first of which has been read. */
const begun = async <Page>(pages: AsyncGenerator<Page, void>): Promise<AsyncGenerator<Page, void>> => {
  const first = await pages.next();
  return (async function* () {
    if (first.done !== true) yield first.value;
    yield* pages;
  })();
};
