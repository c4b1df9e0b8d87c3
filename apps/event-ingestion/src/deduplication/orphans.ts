import type { Logger } from '@posthorn/kafka';
import type { AcceptedLog } from './accepted-log.js';
import type { Bounds, Claims } from './claims.js';

export type OrphansOptions = {
  readonly claims: Pick<Claims, 'orphans' | 'release'>;
  readonly log: AcceptedLog;
  readonly logger: Logger;
};

const lowest = (all: readonly Bounds[]): Bounds => {
  const partitions = Math.max(0, ...all.map(({ length }) => length));
  // What a claim says nothing of was not there at its time: whatever is there now may be its.
  return Array.from({ length: partitions }, (_, partition) => Math.min(...all.map((bounds) => bounds[partition] ?? 0)));
};

/**
 * Settles what dead owners have left open: what is in `events.accepted` was accepted, the rest was not and is free again. Any number may do so at
 * the same time: the end of a claim is one transaction, and what is released twice was released once.
 */
export const settleOrphans = async ({ claims, log, logger }: OrphansOptions): Promise<void> => {
  const orphans = await claims.orphans();
  if (orphans.length === 0) return;
  const accepted = await log.find(lowest(orphans.map(({ bounds }) => bounds)));
  let released = 0;
  for (const { id, hashes } of orphans) {
    const missing = hashes.filter((hash) => !accepted.has(hash));
    await claims.release(id, missing, true);
    released += missing.length;
  }
  logger.info({ claims: orphans.length, released }, 'settled what a process that ended had left open');
};
