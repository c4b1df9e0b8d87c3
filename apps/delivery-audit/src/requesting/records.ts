import { frame, partitionOf, SCHEMA_HEADER, SCHEMA_VERSION, type AskedRound, type RequestedHead, type Rounds } from '@posthorn/contracts';
import { partitionFor } from '@posthorn/domain';
import type { OutgoingRecord } from '@posthorn/kafka';
import { shownDeliveryId } from '../delivery-id.js';
import { eventKey, type EventKey, type StoredEvent } from './stored-events.js';

/** A round in the outbox. */
export type WaitingRound = EventKey & {
  readonly id: string;
  readonly delivery_id: string;
  readonly round: number;
  readonly tenant: string;
  readonly subscription_id: string;
  readonly spread: number;
  readonly position: number;
  readonly trigger: AskedRound['trigger'];
  readonly at: string;
  readonly actor: string;
  readonly replay_id: string | null;
  readonly forced: boolean;
};

/** A round with the event that it is about. */
export type Sendable = { readonly round: WaitingRound; readonly event: StoredEvent };

export type Topic = { readonly name: string; readonly partitions: number };

const headers = { [SCHEMA_HEADER]: SCHEMA_VERSION };

/** Rounds in one record; some 400 bytes each, but 4.5 KB with the longest id and subject. Kafka takes 2 MiB, and a record that it refuses would hold up all others. */
const PACK = 200;

const grouped = <Item>(items: readonly Item[], keyOf: (item: Item) => string | number): readonly (readonly [Item, ...Item[]])[] => {
  const groups = new Map<string | number, [Item, ...Item[]]>();
  for (const item of items) {
    const key = keyOf(item);
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [item]);
    else group.push(item);
  }
  return [...groups.values()];
};

const askedRoundOf = ({ round, event: { envelope } }: Sendable): AskedRound => ({
  delivery_id: shownDeliveryId(round.delivery_id),
  tenant: round.tenant,
  event_id: round.event_id,
  event_type: envelope.type,
  ...(envelope.subject !== undefined && { subject: envelope.subject }),
  accepted_at: envelope.acceptedtime,
  subscription_id: round.subscription_id,
  round: round.round,
  trigger: round.trigger,
  at: round.at,
  actor: round.actor,
  ...(round.replay_id !== null && { replay_id: round.replay_id }),
  ...(round.forced && { forced: true }),
});

/** `deliveries.rounds`: of the subscriptions of a partition, packed. */
export const roundsRecords = (rounds: readonly Sendable[], { name, partitions }: Topic): readonly OutgoingRecord[] =>
  grouped(rounds, ({ round }) => partitionOf(round.subscription_id, partitions)).flatMap((together) => {
    const records: OutgoingRecord[] = [];
    const [{ round: first }] = together;
    const partition = partitionOf(first.subscription_id, partitions);
    for (let from = 0; from < together.length; from += PACK) {
      const value: Rounds = { rounds: together.slice(from, from + PACK).map(askedRoundOf) };
      records.push({ topic: name, partition, key: first.subscription_id, value: JSON.stringify(value), headers });
    }
    return records;
  });

/**
 * `deliveries.requested`: what the router would write, but for round and trigger. An event's data is in a record once, for all that go to the same partition in the same round. An event has
 * at most 900 KiB, and `rounds` are a batch of at most a thousand: whatever is put together here, Kafka takes it.
 */
export const requestedRecords = (rounds: readonly Sendable[], { name, partitions }: Topic): readonly OutgoingRecord[] => {
  const partitionOfRound = ({ subscription_id, spread, event_id }: WaitingRound): number => partitionFor(subscription_id, spread, event_id, partitions);
  const together = grouped(rounds, ({ round }) => `${round.tenant} ${eventKey(round)} ${partitionOfRound(round)} ${round.round} ${round.trigger}`);
  return together.map((group) => {
    const [{ round, event }] = group;
    const partition = partitionOfRound(round);
    const head: RequestedHead = {
      event: event.envelope,
      subscriptions: [...new Set(group.map((one) => one.round.subscription_id))],
      position: Math.max(...group.map((one) => one.round.position)),
      round: round.round,
      number: 1,
      trigger: round.trigger,
    };
    return { topic: name, partition, key: String(partition), value: frame(head, event.data, event.envelope.datacontenttype), headers };
  });
};
