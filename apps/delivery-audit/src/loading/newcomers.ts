import { stateOf } from '@posthorn/event-store';
import type { TableName } from './rows.js';

/** Tables of which most rows that come are new. */
const tables = ['events', 'decisions', 'deliveries', 'attempts'] as const satisfies TableName[];
type Table = (typeof tables)[number];

const UNIQUE_VIOLATION = '23505';
/** After rows were taken for new that were not, so many batches go the safe way: a topic that is read again is read for a while. */
const CAREFUL_BATCHES = 32;
const DAY_OF_PARTITION = /_\d{8}$/;

const isTable = (name: string): name is Table => (tables as readonly string[]).includes(name);

/** Which tables' rows are taken for new, and what is learnt when one was not. */
export class Newcomers {
  readonly #careful = new Map<Table, number>();

  areExpected(table: TableName): boolean {
    return isTable(table) && !this.#careful.has(table);
  }

  /** A batch has been written. */
  batchWritten(): void {
    for (const [table, left] of this.#careful) {
      if (left > 1) this.#careful.set(table, left - 1);
      else this.#careful.delete(table);
    }
  }

  /** Whether a batch failed because a row was taken for new that is not, and will be written otherwise the next time. */
  wereWrong(error: unknown): boolean {
    if (stateOf(error) !== UNIQUE_VIOLATION) return false;
    const name = error instanceof Error && 'table' in error ? String(error.table).replace(DAY_OF_PARTITION, '') : '';
    if (!this.areExpected(name as TableName)) return false; // Any other name is none of ours either
    this.#careful.set(name as Table, CAREFUL_BATCHES);
    return true;
  }
}
