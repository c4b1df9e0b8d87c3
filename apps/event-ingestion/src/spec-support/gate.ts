import type { Producer } from '@posthorn/kafka';
import type { Gate } from '../outlet.js';

/** Straight to Kafka: nothing is a duplicate. */
export const gateTo = (producer: Producer): Gate => ({
  get pendingBytes() {
    return producer.pendingBytes;
  },
  send: ({ record }, deadlineMs) => producer.send(record, { deadlineMs }).then(() => 'accepted' as const),
  write: (record, deadlineMs) => producer.send(record, { deadlineMs }),
});
