import type { AggregateState, RegistryState } from '@posthorn/contracts';
import type { RecordedEvent } from '@posthorn/event-store';
import { aggregateOf, type AggregateKind } from './streams.js';

/** An aggregate's row in the read model. */
export type StateRow = { readonly version: number; readonly state: AggregateState };

/** One record of `registry.state`; without a value when the aggregate was deleted. */
export type StateRecord = {
  readonly id: string;
  readonly kind: AggregateKind;
  readonly position: number;
  readonly value: RegistryState | undefined;
};

/**
 * The states to publish for a batch of events: one per aggregate, as the read model had it after the batch was read, hence at the
 * batch's last event of that aggregate or later.
 *
 * A record's position promises that everything up to it is there. So the aggregates come in the order of their first event
 * in the batch, and each record claims what lies before the first event of the next: after events 1 (a), 2 (b), 3 (a), the records are
 * a up to 1 and b up to 3. (By their last events, b would claim 2, and with it 1, before a had been published.)
 */
export const stateRecords = (batch: readonly RecordedEvent[], rows: ReadonlyMap<string, StateRow>): readonly StateRecord[] => {
  const firstIndex = new Map<string, number>();
  for (const [index, { stream }] of batch.entries()) if (!firstIndex.has(stream)) firstIndex.set(stream, index);
  const firsts = [...firstIndex];
  return firsts.map(([stream], n) => {
    const [, nextIndex] = firsts[n + 1] ?? ['', batch.length];
    const position = batch[nextIndex - 1]?.position ?? 0;
    const row = rows.get(stream);
    return { ...aggregateOf(stream), position, value: row && { position, version: row.version, state: row.state } };
  });
};
