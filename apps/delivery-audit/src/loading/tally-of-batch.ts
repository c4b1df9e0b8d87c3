import { addChange } from '../statistics/deltas.js';
import { Tally } from '../statistics/tally.js';
import { attemptKey, type AddedAttempts, type MergedDeliveries, type Strengthened } from './merge.js';
import type { AttemptRow, DeliveryRow, Rows } from './rows.js';

const deliveryKey = ({ day, id }: Pick<DeliveryRow, 'day' | 'id'>): string => `${day} ${id}`;

/**
 * What a batch adds to the statistics, so that they stay what the tables would say if they were counted: attempts that were not there before,
 * deliveries that have ended by it. Of the rest, which is little, PostgreSQL has answered what there was and what became of it.
 */
export const tallyOf = (
  { deliveries, attempts }: Pick<Rows, 'deliveries' | 'attempts'>,
  { inserted, unforeseen }: AddedAttempts & Pick<MergedDeliveries, 'unforeseen'>,
  strengthened: readonly Strengthened[],
): Tally => {
  const tally = new Tally();
  const isNew = inserted && new Set(inserted);
  for (const attempt of attempts) if (!isNew || isNew.has(attemptKey(attempt))) tally.addAttempt(attempt, attempt);
  if (strengthened.length > 0) correct(tally, attempts, strengthened);

  const others = new Set(unforeseen?.map(deliveryKey));
  for (const delivery of deliveries) {
    if (delivery.finished_at === null || (others.size > 0 && others.has(deliveryKey(delivery)))) continue;
    const { status, round, created_at, finished_at } = delivery;
    tally.addDelivery(delivery, { status, round, createdMs: Date.parse(created_at), finishedMs: Date.parse(finished_at) });
  }
  for (const { change } of unforeseen ?? []) if (change) addChange(tally, change);
  return tally;
};

/** An outcome that a stronger one replaces is taken back. */
const correct = (tally: Tally, attempts: readonly AttemptRow[], strengthened: readonly Strengthened[]): void => {
  const staged = new Map(attempts.map((attempt) => [attemptKey(attempt), attempt]));
  for (const { old, ...key } of strengthened) {
    const attempt = staged.get(attemptKey(key));
    if (attempt === undefined) continue;
    tally.addAttempt(attempt, { ...old, started_at: new Date(old.started_ms).toISOString() }, -1);
    tally.addAttempt(attempt, attempt);
  }
};
