import type { ReplayView } from '@posthorn/contracts';
import type { ReplayCounts, ReplayState } from '@posthorn/domain';

/** A replay as it stands, and how far its pages are; bigint as the driver hands it over. */
export type ReplayRow = {
  readonly id: string;
  readonly tenant: string;
  readonly version: number;
  readonly state: ReplayState;
  readonly actor: string;
  readonly reached_at: Date;
  readonly reached_id: string;
} & { readonly [Count in keyof ReplayCounts]: string };

export const REPLAY_COLUMNS = 'id, tenant, version, state, actor, reached_at, reached_id, matched, done, skipped, filtered, disabled, expired';

export const countsOf = (row: ReplayRow): ReplayCounts => ({
  matched: Number(row.matched),
  done: Number(row.done),
  skipped: Number(row.skipped),
  filtered: Number(row.filtered),
  disabled: Number(row.disabled),
  expired: Number(row.expired),
});

export const replayViewOf = (row: ReplayRow): ReplayView => {
  const { id, tenant, status, failure, wish, created_at, updated_at, finished_at } = row.state;
  const { event_types, statuses, ...rest } = wish;
  return {
    id,
    tenant,
    status,
    ...(failure !== undefined && { failure }),
    ...rest,
    ...(event_types && { event_types: [...event_types] }),
    ...(statuses && { statuses: [...statuses] }),
    ...countsOf(row),
    reached: status === 'done' ? wish.to : row.reached_at.toISOString(),
    actor: row.actor,
    created_at,
    updated_at,
    ...(finished_at !== undefined && { finished_at }),
  };
};
