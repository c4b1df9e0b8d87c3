import { copyRows, stateOf, type Cell } from '@posthorn/event-store';
import type { Client } from 'pg';
import { writeDeltas } from '../statistics/deltas.js';
import { columns } from './columns.js';
import { attemptKey, type AddedAttempts, type MergedDeliveries, type Statements, type Strengthened } from './merge.js';
import { Recent } from './recent.js';
import type { AttemptRow, DeliveryRow, Rows } from './rows.js';
import { tallyOf } from './tally-of-batch.js';

const UNIQUE_VIOLATION = '23505';
/** After rows were taken for new that were not, so many batches go the safe way: a topic that is read again is read for a while. */
const CAREFUL_BATCHES = 32;
/** Deliveries whose rows this process has just written, about 10 MB: what is known to be there need not be tried. */
const RECENT_DELIVERIES = 50_000;

const byText = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);
const byDeliveryKey = (a: DeliveryRow, b: DeliveryRow): number => byText(a.day, b.day) || byText(a.id, b.id);
const byAttemptKey = (a: AttemptRow, b: AttemptRow): number =>
  byText(a.day, b.day) || byText(a.delivery_id, b.delivery_id) || a.round - b.round || a.number - b.number;

const deliveryColumns = [...columns.deliveries, 'attempts'] as const;
type CountedDelivery = DeliveryRow & { readonly attempts: number };

/** Attempts that were inserted: all (null) or those of these keys; and what became of the others. */
type Added = AddedAttempts & { readonly strengthened: readonly Strengthened[] };
const ALL_ADDED: Added = { inserted: null, strengthened: [] };

/**
 * Writes deliveries and their attempts. Most of what comes is new, and COPY straight into the tables costs PostgreSQL little more than half
 * of what the merge does. So rows that may well be new are tried that way, behind a savepoint; when one of them turns out to be known, the
 * savepoint takes them all back, and they are merged. What is certain: the merge's result. What is tried is only how cheaply it is had.
 */
export class DeliveryWriter {
  readonly #schema: string;
  readonly #statements: Statements;
  readonly #recent = new Recent(RECENT_DELIVERIES);
  #careful = { attempts: 0, deliveries: 0 };

  constructor(schema: string, statements: Statements) {
    this.#schema = schema;
    this.#statements = statements;
  }

  /** In the client's transaction. No attempt comes without its delivery. What is new, and what has changed, goes into the statistics with them. */
  async write(client: Client, { deliveries, attempts }: Pick<Rows, 'deliveries' | 'attempts'>): Promise<{ readonly deliveries: number; readonly attempts: number }> {
    const { inserted, strengthened } = await this.#addAttempts(client, attempts);
    const merged = await this.#mergeDeliveries(client, counted(deliveries, attempts, inserted));
    await writeDeltas(client, this.#schema, tallyOf({ deliveries, attempts }, { inserted, unforeseen: merged.unforeseen }, strengthened));
    return { deliveries: merged.deliveries, attempts: inserted?.length ?? attempts.length };
  }

  async #addAttempts(client: Client, attempts: readonly AttemptRow[]): Promise<Added> {
    if (attempts.length === 0) return ALL_ADDED;
    if (await this.#isAllNew(client, 'attempts', columns.attempts, attempts.toSorted(byAttemptKey))) return ALL_ADDED;
    await copyRows(client, 'staged_attempts', columns.attempts, attempts);
    const { rows } = await client.query<AddedAttempts>(this.#statements.addAttempts);
    const inserted = rows[0]?.inserted ?? null;
    if (inserted === null) return ALL_ADDED;
    return { inserted, strengthened: (await client.query<Strengthened>(this.#statements.strengthenAttempts)).rows };
  }

  async #mergeDeliveries(client: Client, deliveries: readonly CountedDelivery[]): Promise<MergedDeliveries> {
    const { known = [], unknown = [] } = Object.groupBy(deliveries, (delivery) => (this.#isKnown(delivery) ? 'known' : 'unknown'));
    for (const { day, id } of unknown) this.#recent.add(`${day} ${id}`);
    const areNew = unknown.length > 0 && (await this.#isAllNew(client, 'deliveries', deliveryColumns, unknown.toSorted(byDeliveryKey)));
    const rest = areNew ? known : deliveries;
    if (rest.length === 0) return { deliveries: unknown.length, unforeseen: null };
    await copyRows(client, 'staged_deliveries', deliveryColumns, rest);
    const { rows } = await client.query<MergedDeliveries>(this.#statements.mergeDeliveries);
    const merged = rows[0] ?? { deliveries: 0, unforeseen: null };
    return { ...merged, deliveries: merged.deliveries + (areNew ? unknown.length : 0) };
  }

  /** Whatever is not the beginning of a delivery had one. */
  #isKnown({ day, id, round, number, waiting_round }: DeliveryRow): boolean {
    return round > 0 || number > 1 || waiting_round !== null || this.#recent.has(`${day} ${id}`);
  }

  /** Adds rows that are all new. False, and none is added, when one of them is there already, or when that is too likely to be tried. */
  async #isAllNew<Column extends string>(
    client: Client,
    table: 'attempts' | 'deliveries',
    names: readonly Column[],
    sorted: readonly Readonly<Record<Column, Cell>>[],
  ): Promise<boolean> {
    if (this.#careful[table] > 0) {
      this.#careful[table]--;
      return false;
    }
    await client.query('savepoint before_new_rows');
    try {
      await copyRows(client, `${this.#schema}.${table}`, names, sorted);
      return true;
    } catch (error) {
      if (stateOf(error) !== UNIQUE_VIOLATION) throw error;
      this.#careful[table] = CAREFUL_BATCHES;
      await client.query('rollback to savepoint before_new_rows');
      return false;
    }
  }
}

/** With how many of its attempts were inserted. */
const counted = (deliveries: readonly DeliveryRow[], attempts: readonly AttemptRow[], inserted: readonly string[] | null): readonly CountedDelivery[] => {
  const isNew = inserted && new Set(inserted);
  const counts = new Map<string, number>();
  for (const attempt of attempts) {
    if (isNew && !isNew.has(attemptKey(attempt))) continue;
    const key = `${attempt.day} ${attempt.delivery_id}`;
    counts.set(key, (counts.get(key) ?? 0) + 1);
  }
  return deliveries.map((delivery) => ({ ...delivery, attempts: counts.get(`${delivery.day} ${delivery.id}`) ?? 0 }));
};
