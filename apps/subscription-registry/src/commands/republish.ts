import type { EventStore, RelayCheckpoint } from '@posthorn/event-store';
import type { Kafka } from '@posthorn/kafka';
import { PUBLISHED } from '../state-relay.js';

export type RepublishParts = {
  readonly kafka: Pick<Kafka, 'ensureTopics'>;
  readonly store: Pick<EventStore, 'lastPosition'>;
  readonly checkpoint: Pick<RelayCheckpoint, 'setBack'>;
};

/**
 * Has the relay write its topics again from the first event on. Every state comes as it is by then, under its key, so that what a reader
 * folds is the same whether the topics were empty or not; `registry.log` and `operations` have each
 * record once more.
 * @returns the position that it will have to reach
 */
export const republish = async ({ kafka, store, checkpoint }: RepublishParts): Promise<number> => {
  await kafka.ensureTopics(PUBLISHED);
  const last = await store.lastPosition();
  await checkpoint.setBack();
  return last;
};
