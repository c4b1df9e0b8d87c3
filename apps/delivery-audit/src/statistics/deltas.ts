import type { Conversation } from '@posthorn/event-store';
import type { ClientBase } from 'pg';
import { Tally } from './tally.js';

/** What an `insert … on conflict` or `update` of deliveries answers by `returning DELIVERY_CHANGE`, for the statistics to follow it. */
export type DeliveryChange = {
  readonly tenant: string;
  readonly subscription_id: string;
  readonly old_status: EndedStatus | null;
  readonly old_round: number | null;
  readonly old_created_ms: number | null;
  readonly old_finished_ms: number | null;
  readonly new_status: EndedStatus;
  readonly new_round: number;
  readonly new_created_ms: number;
  readonly new_finished_ms: number | null;
};
type EndedStatus = Parameters<Tally['addDelivery']>[1]['status'];

const standing = (row: 'old' | 'new', from: string): string => `${from}status as ${row}_status, ${from}round as ${row}_round,
  (extract(epoch from ${from}created_at) * 1000)::double precision as ${row}_created_ms,
  (extract(epoch from ${from}finished_at) * 1000)::double precision as ${row}_finished_ms`;

/** The same of columns that are called by these prefixes. */
export const deliveryChange = (old: string, now: string): string =>
  `${now}tenant as tenant, ${now}subscription_id as subscription_id, ${standing('old', old)}, ${standing('new', now)}`;

export const DELIVERY_CHANGE = deliveryChange('old.', 'new.');

/** A delivery counts once, at its latest end: what it counted for before is taken back. */
export const addChange = (tally: Tally, change: DeliveryChange): void => {
  const { old_status, old_round, old_created_ms, old_finished_ms, new_finished_ms } = change;
  if (old_status !== null && old_round !== null && old_created_ms !== null && old_finished_ms !== null) {
    tally.addDelivery(change, { status: old_status, round: old_round, createdMs: old_created_ms, finishedMs: old_finished_ms }, -1);
  }
  if (new_finished_ms !== null) {
    tally.addDelivery(change, { status: change.new_status, round: change.new_round, createdMs: change.new_created_ms, finishedMs: new_finished_ms });
  }
};

/** Tells the statistics what an `insert … on conflict` or `update` has made of deliveries, in its transaction. */
export const writeChanges = async (client: Pick<ClientBase, 'query'>, schema: string, changes: readonly DeliveryChange[]): Promise<void> => {
  const tally = new Tally();
  for (const change of changes) addChange(tally, change);
  await writeDeltas(client, schema, tally);
};

/** The same of rows that are copied, with what goes out next. */
export const tellDeltas = (conversation: Conversation, schema: string, tally: Tally): void =>
  conversation.copy(`${schema}.statistics_deltas`, ['tenant', 'figures'], tally.deltas());

/** Writes what was counted, in the transaction that has changed the rows; nothing when there is nothing to tell. */
export const writeDeltas = async (client: Pick<ClientBase, 'query'>, schema: string, tally: Tally): Promise<void> => {
  const deltas = tally.deltas();
  if (deltas.length === 0) return;
  await client.query(`insert into ${schema}.statistics_deltas (tenant, figures) select * from unnest($1::text[], $2::bytea[])`, [
    deltas.map(({ tenant }) => tenant),
    deltas.map(({ figures }) => figures),
  ]);
};
