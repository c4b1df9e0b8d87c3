import { daysOf } from '../loading/fold.js';
import type { Rows } from '../loading/rows.js';
import type { RetentionPolicy } from './retention-policy.js';

/** The rows without those that are too old to be recorded, as when topics are read again from long ago; and how many these are. */
export const withinRetention = (rows: Rows, policy: RetentionPolicy, nowMs: number): { readonly rows: Rows; readonly tooOld: number } => {
  let tooOld = 0;
  const isKept = ({ tenant, day }: { readonly tenant: string | null; readonly day: string }): boolean => {
    const kept = !policy.isTooOld(tenant, day, nowMs);
    if (!kept) tooOld++;
    return kept;
  };
  if (!mayBeTooOld(rows, nowMs)) return { rows, tooOld };
  const kept: Rows = {
    ...rows,
    events: rows.events.filter(isKept),
    decisions: rows.decisions.filter(isKept),
    deliveries: rows.deliveries.filter(isKept),
    attempts: rows.attempts.filter(isKept),
    rounds: rows.rounds.filter(isKept),
    cancellations: rows.cancellations.filter(isKept),
    rejected_events: rows.rejected_events.filter(isKept),
    duplicates: rows.duplicates.filter(isKept),
  };
  return { rows: kept, tooOld };
};

const DAY_MS = 86_400_000;

/** Nobody keeps less than a day: the rows of today and yesterday, which are almost all, need not be looked at. */
const mayBeTooOld = (rows: Rows, nowMs: number): boolean => {
  const yesterday = new Date(nowMs - DAY_MS).toISOString().slice(0, 'yyyy-mm-dd'.length);
  for (const day of daysOf(rows)) if (day < yesterday) return true;
  return false;
};
