import type { OutgoingRecord } from '@posthorn/kafka';
import type { Queryable } from '../registry/subscriptions.js';
import { requestedRecords, roundsRecords, type Sendable, type Topic, type WaitingRound } from './records.js';
import { countWithin, eventKey, readEvents, type EventKey, type StoredEvent } from './stored-events.js';

export type RequesterParts = {
  /** Resolves when Kafka has acknowledged it. */
  readonly send: (record: OutgoingRecord) => Promise<void>;
  readonly topics: { readonly rounds: Topic; readonly requested: Topic };
  /** Told of rounds that are in Kafka, and of those whose event was dropped while they waited. */
  readonly requested: (rounds: readonly WaitingRound[]) => void;
  readonly dropped: (rounds: readonly WaitingRound[]) => void;
};

/** Taken out of the outbox together. */
const BATCH = 1_000;
/** Data of events in a batch, but for one that is larger alone. */
const MOST_BYTES = 8 * 1024 * 1024;

type Row = Omit<WaitingRound, 'at' | 'position'> & { readonly at: Date; readonly position: string; readonly bytes: number };

const OLDEST = `
  select waiting.id, waiting.day::text as day, delivery_id, round, waiting.tenant, event_id, subscription_id, spread, position, trigger, at, actor, replay_id, forced,
         coalesce(octet_length(event.data), 0) as bytes
    from (select * from replays.outbox order by id limit ${BATCH}) as waiting
    left join audit.events event on event.tenant = waiting.tenant and event.id = waiting.event_id and event.day = waiting.day
   order by waiting.id`;

/** Tenants give their events the same ids. */
const keyOf = (round: EventKey & { readonly tenant: string }): string => `${round.tenant} ${eventKey(round)}`;

/**
 * Outbox in, Kafka out, in this order: the history is told of the rounds, the sender is asked for them, the outbox forgets them. Whatever dies in between, all of it is done again by the next
 * leader; a round has its number, so that what is there twice is one round.
 */
export class Requester {
  readonly #parts: RequesterParts;

  constructor(parts: RequesterParts) {
    this.#parts = parts;
  }

  /** Sends what has waited longest; answers how many rounds left the outbox. */
  async sendOldest(database: Queryable): Promise<number> {
    const rows = await database.query<Row>(OLDEST);
    const batch = rows.slice(0, countWithin(rows, MOST_BYTES, keyOf)).map(({ at, position, ...row }): WaitingRound => ({ ...row, at: at.toISOString(), position: Number(position) }));
    if (batch.length === 0) return 0;
    const events = await this.#eventsOf(database, batch);
    const sendable = batch.flatMap((round): readonly Sendable[] => {
      const event = events.get(keyOf(round));
      return event === undefined ? [] : [{ round, event }];
    });
    const { send, topics, requested, dropped } = this.#parts;
    await Promise.all(roundsRecords(sendable, topics.rounds).map((record) => send(record)));
    await Promise.all(requestedRecords(sendable, topics.requested).map((record) => send(record)));
    // By name: what commits later may have a lower number.
    await database.query('delete from replays.outbox where id = any($1)', [batch.map(({ id }) => id)]);
    requested(sendable.map(({ round }) => round));
    // With its event, retention has dropped the delivery: there is nothing to be told of it any more.
    dropped(batch.filter((round) => !events.has(keyOf(round))));
    return batch.length;
  }

  async #eventsOf(database: Queryable, rounds: readonly WaitingRound[]): Promise<ReadonlyMap<string, StoredEvent>> {
    const events = new Map<string, StoredEvent>();
    for (const tenant of new Set(rounds.map((round) => round.tenant))) {
      const keys = new Map(rounds.filter((round) => round.tenant === tenant).map((round) => [eventKey(round), round]));
      for (const [key, event] of await readEvents(database, tenant, [...keys.values()])) events.set(`${tenant} ${key}`, event);
    }
    return events;
  }
}
