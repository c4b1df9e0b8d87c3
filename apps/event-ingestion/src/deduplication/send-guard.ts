import { setTimeout as pause } from 'node:timers/promises';
import type { GuardVerdict, OutgoingRecord, ProducerGuard } from '@posthorn/kafka';
import { type AcceptedLog, hashOfRecord } from './accepted-log.js';
import type { Bounds } from './claims.js';
import type { Hash } from './hash.js';
import type { Owner } from './owner.js';

export type SendGuardOptions = {
  readonly owner: Pick<Owner, 'id' | 'isCertain' | 'certainty'>;
  readonly log: AcceptedLog;
  /** Name of `events.accepted` on the broker. */
  readonly topic: string;
  readonly settledAfterMs: number;
};

/** Lets nothing be sent by the claim of an owner that may have been taken for dead, and nothing again that an attempt without an answer has written. */
export class SendGuard {
  readonly #ownerOf = new WeakMap<OutgoingRecord, string>();
  #boundsOfAttempt: Bounds = [];

  constructor(private readonly options: SendGuardOptions) {}

  /** @param owner who has claimed it */
  watch(record: OutgoingRecord, owner: string): void {
    this.#ownerOf.set(record, owner);
  }

  /** Before each attempt of the producer. */
  readonly ask: ProducerGuard = (records, isRepetition) => {
    const { log, owner } = this.options;
    if (!isRepetition) this.#boundsOfAttempt = log.bounds;
    if (!isRepetition && owner.isCertain && records.every((record) => this.#isOurs(record))) return undefined;
    return this.#review(records, isRepetition);
  };

  async #review(records: readonly OutgoingRecord[], isRepetition: boolean): Promise<readonly GuardVerdict[]> {
    const { owner, topic } = this.options;
    const written = isRepetition ? await this.#writtenSince(this.#boundsOfAttempt) : new Set<Hash>();
    const isCertain = records.some((record) => this.#ownerOf.has(record)) && (await owner.certainty());
    return records.map((record) => {
      const hash = record.topic === topic ? hashOfRecord(record.value) : undefined;
      if (hash !== undefined && written.has(hash)) return 'written';
      return !this.#ownerOf.has(record) || (isCertain && this.#isOurs(record)) ? 'send' : 'withdraw';
    });
  }

  /** Claimed by who we are now, or not claimed at all. */
  #isOurs(record: OutgoingRecord): boolean {
    const { owner } = this.options;
    return (this.#ownerOf.get(record) ?? owner.id) === owner.id;
  }

  async #writtenSince(bounds: Bounds): Promise<ReadonlySet<Hash>> {
    await pause(this.options.settledAfterMs);
    return this.options.log.find(bounds);
  }
}
