import type { Conversation } from '@posthorn/event-store';
import { tellDeltas } from '../statistics/deltas.js';
import { ByDay } from './by-day.js';
import { columns } from './columns.js';
import { attemptKey, type AddedAttempts, type MergedDeliveries, type Statements, type Strengthened } from './merge.js';
import type { Newcomers } from './newcomers.js';
import { inOrder } from './order.js';
import { Recent } from './recent.js';
import type { AttemptRow, DeliveryRow, Rows } from './rows.js';
import { tallyOf } from './tally-of-batch.js';

/** Deliveries whose rows this process has just written, 2 MiB: what is known to be there need not be tried. */
const RECENT_DELIVERIES = 50_000;

const deliveryColumns = [...columns.deliveries, 'attempts'] as const;
type CountedDelivery = DeliveryRow & { readonly attempts: number };

/** Attempts that were inserted: all (null) or those of these keys; and what became of the others. */
type Added = AddedAttempts & { readonly strengthened: readonly Strengthened[] };
const ALL_ADDED: Added = { inserted: null, strengthened: [] };

/**
 * Writes deliveries and their attempts. Most of what comes is new, and COPY straight into the tables costs PostgreSQL little more than half of what the
 * merge does: so what may well be new is tried that way. What is certain is the merge's result; what is tried is only how cheaply it is had.
 */
export class DeliveryWriter {
  readonly #schema: string;
  readonly #statements: Statements;
  readonly #newcomers: Newcomers;
  readonly #recent = new Recent(RECENT_DELIVERIES);

  constructor(schema: string, statements: Statements, newcomers: Newcomers) {
    this.#schema = schema;
    this.#statements = statements;
    this.#newcomers = newcomers;
  }

  /** No attempt comes without its delivery. What is new, and what has changed, goes into the statistics with them. */
  async write(conversation: Conversation, { deliveries, attempts }: Pick<Rows, 'deliveries' | 'attempts'>): Promise<{ readonly deliveries: number; readonly attempts: number }> {
    const { inserted, strengthened } = await this.#addAttempts(conversation, attempts);
    const merged = await this.#mergeDeliveries(conversation, counted(deliveries, attempts, inserted));
    tellDeltas(conversation, this.#schema, tallyOf({ deliveries, attempts }, { inserted, unforeseen: merged.unforeseen }, strengthened));
    return { deliveries: merged.deliveries, attempts: inserted?.length ?? attempts.length };
  }

  async #addAttempts(conversation: Conversation, attempts: readonly AttemptRow[]): Promise<Added> {
    if (attempts.length === 0) return ALL_ADDED;
    if (this.#newcomers.areExpected('attempts')) {
      conversation.copy(`${this.#schema}.attempts`, columns.attempts, inOrder.attempts(attempts));
      return ALL_ADDED;
    }
    conversation.copy('staged_attempts', columns.attempts, attempts);
    const { rows } = await conversation.ask<AddedAttempts>(this.#statements.addAttempts);
    const inserted = rows[0]?.inserted ?? null;
    if (inserted === null) return ALL_ADDED;
    return { inserted, strengthened: (await conversation.ask<Strengthened>(this.#statements.strengthenAttempts)).rows };
  }

  async #mergeDeliveries(conversation: Conversation, deliveries: readonly CountedDelivery[]): Promise<MergedDeliveries> {
    const areExpected = this.#newcomers.areExpected('deliveries');
    const { known = [], unknown = [] } = Object.groupBy(deliveries, (delivery) => (areExpected && !this.#isKnown(delivery) ? 'unknown' : 'known'));
    for (const { id } of deliveries) this.#recent.add(id);
    conversation.copy(`${this.#schema}.deliveries`, deliveryColumns, inOrder.deliveries(unknown));
    if (known.length === 0) return { deliveries: unknown.length, unforeseen: null };
    conversation.copy('staged_deliveries', deliveryColumns, known);
    const { rows } = await conversation.ask<MergedDeliveries>(this.#statements.mergeDeliveries);
    const merged = rows[0] ?? { deliveries: 0, unforeseen: null };
    return { ...merged, deliveries: merged.deliveries + unknown.length };
  }

  /** Whatever is not the beginning of a delivery had one. */
  #isKnown({ id, round, number, waiting_round }: DeliveryRow): boolean {
    return round > 0 || number > 1 || waiting_round !== null || this.#recent.has(id);
  }
}

/** With how many of its attempts were inserted. */
const counted = (deliveries: readonly DeliveryRow[], attempts: readonly AttemptRow[], inserted: readonly string[] | null): readonly CountedDelivery[] => {
  const isNew = inserted && new Set(inserted);
  const counts = new ByDay<number>();
  for (const attempt of attempts) {
    if (isNew && !isNew.has(attemptKey(attempt))) continue;
    const { day, delivery_id } = attempt;
    counts.set(day, delivery_id, (counts.get(day, delivery_id) ?? 0) + 1);
  }
  return deliveries.map((delivery) => ({ ...delivery, attempts: counts.get(delivery.day, delivery.id) ?? 0 }));
};
