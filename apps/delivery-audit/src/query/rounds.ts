import { MOST_SHOWN_ROUNDS, type WholeDeliveryView } from '@posthorn/contracts';
import type { Database } from './database.js';
import type { FoundDelivery } from './deliveries.js';
import { deliveryViewOf } from './delivery-view.js';

/** A round that was asked for, as the API shows it. */
export type RoundRow = WholeDeliveryView['rounds'][number];
/** A round that somebody asked to be made no more. */
export type CancellationRow = { readonly round: number; readonly at: string; readonly actor: string };

type Place = Pick<FoundDelivery, 'day' | 'stored'>;

type StoredRound = Pick<RoundRow, 'round' | 'trigger' | 'actor'> & { readonly at: Date; readonly replay_id: string | null; readonly forced: boolean };

/** Asked for one by one, or by replays: of more than so many the newest are told. */
const MOST = 10_000;

/** Oldest first. */
export const findRounds = async (database: Pick<Database, 'query'>, { day, stored }: Place, most = MOST): Promise<readonly RoundRow[]> => {
  const rows = await database.query<StoredRound>(
    `select round, trigger, at, actor, replay_id, forced from audit.rounds where day = $1::date and delivery_id = $2::uuid order by round desc limit $3`,
    [day, stored, most],
  );
  return rows.toReversed().map(({ at, replay_id, forced, ...round }) => ({
    ...round,
    at: at.toISOString(),
    ...(replay_id !== null && { replay_id }),
    ...(forced && { forced }),
  }));
};

/** Oldest first. */
export const findCancellations = async (database: Pick<Database, 'query'>, { day, stored }: Place): Promise<readonly CancellationRow[]> => {
  const rows = await database.query<{ readonly round: number; readonly at: Date; readonly actor: string }>(
    `select round, at, actor from audit.cancellations where day = $1::date and delivery_id = $2::uuid order by round desc limit $3`,
    [day, stored, MOST],
  );
  return rows.toReversed().map(({ at, ...cancellation }) => ({ ...cancellation, at: at.toISOString() }));
};

export const wholeViewOf = async (database: Pick<Database, 'query'>, found: FoundDelivery): Promise<WholeDeliveryView> => ({
  ...deliveryViewOf(found.row),
  rounds: await findRounds(database, found, MOST_SHOWN_ROUNDS),
});
