import type { DryRun } from '@posthorn/contracts';
import type { ReplayWish } from '@posthorn/domain';
import { Problem } from '@posthorn/service-kit';
import type { Candidate } from '../asking/ask.js';
import { shownDeliveryId } from '../delivery-id.js';
import type { Queryable } from '../registry/subscriptions.js';
import type { Looking } from './looking.js';
import { beginningOf } from './selection.js';

/** Matches that are counted, about, and the time it may take: whoever asks waits. */
const COUNTED = 100_000;
const PATIENCE_MS = 5_000;
const LIMITS = { candidates: 1_000, rows: 1_000 };
const SAMPLE = 10;

const UNDER_WAY = `
  select delivery.id from unnest($1::date[], $2::uuid[]) as wanted (day, id)
    join audit.deliveries delivery on delivery.id = wanted.id and delivery.day = wanted.day and delivery.status in ('pending', 'retrying')`;

const underWay = async (database: Queryable, candidates: readonly Candidate[]): Promise<ReadonlySet<string>> => {
  const rows = await database.query<{ id: string }>(UNDER_WAY, [candidates.map(({ day }) => day), candidates.map(({ delivery_id }) => delivery_id)]);
  return new Set(rows.map(({ id }) => shownDeliveryId(id)));
};

/** What a replay would do: looks as it would, and asks for nothing. */
export const dryRunOf = async (database: Queryable, looking: Looking, tenant: string, wish: ReplayWish): Promise<DryRun> => {
  const counts = { matched: 0, done: 0, skipped: 0, filtered: 0, disabled: 0, expired: 0 };
  const sample: DryRun['sample'] = [];
  const untilMs = performance.now() + PATIENCE_MS;
  for (let reached = beginningOf(wish); ; ) {
    const look = await looking.look(database, tenant, wish, reached, LIMITS);
    if (look.kind === 'blocked') throw new Problem('conflict', 'to_subscription was disabled or deleted meanwhile.');
    const skipped = wish.force ? new Set<string>() : await underWay(database, look.candidates);
    for (const candidate of look.candidates) {
      const delivery_id = shownDeliveryId(candidate.delivery_id);
      if (skipped.has(delivery_id)) continue;
      counts.done += 1;
      const { event_id, event_type, accepted_at, subscription_id } = candidate;
      if (sample.length < SAMPLE) sample.push({ event_id, event_type, accepted_at, subscription_id, delivery_id });
    }
    counts.skipped += skipped.size;
    counts.matched += look.counts.matched;
    counts.filtered += look.counts.filtered;
    counts.disabled += look.counts.disabled;
    counts.expired += look.counts.expired;
    const isEnough = counts.matched >= COUNTED || performance.now() > untilMs;
    if (look.isEnd || isEnough) return { status: 'dry_run', ...counts, at_least: !look.isEnd, sample };
    ({ reached } = look);
  }
};
