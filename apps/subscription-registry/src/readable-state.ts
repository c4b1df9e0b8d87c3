import { aggregateState } from '@posthorn/contracts';
import { parseOrRefuse } from '@posthorn/service-kit';

const NOTHING_TO_READ: ReadonlySet<unknown> = new Set(['absent', 'deleted']);

/**
 * Every service folds `registry.state`, and stops at a record that it cannot read: one of them would stop them all, for good. So what
 * they could not read is not written in the first place, however it passed what judges requests.
 * @throws {Problem} `invalid`
 */
export const refuseUnreadable = (state: unknown): void => {
  if (typeof state === 'object' && state !== null && 'kind' in state && NOTHING_TO_READ.has(state.kind)) return;
  parseOrRefuse(aggregateState, state);
};
