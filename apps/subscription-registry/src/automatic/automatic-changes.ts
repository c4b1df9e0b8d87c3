import { setTimeout as delay } from 'node:timers/promises';
import { requireKnownSchema, timeInUtc, type Attempted, type Outcome } from '@posthorn/contracts';
import type { IncomingRecord } from '@posthorn/kafka';
import { z } from 'zod';
import type { FailureTable, Verdict } from './failure-table.js';
import { signsOf, type Sign } from './signs.js';

/** What is to be done to a subscription, on whose evidence. */
export type Disabling = {
  readonly subscription: string;
  readonly reason: 'gone' | 'failing';
  readonly observedAt: string;
  readonly delivery: string;
};

export type AutomaticChangesOptions = {
  readonly table: Pick<FailureTable, 'record' | 'failing'>;
  /** Resolves also when there is nothing to be disabled any more. */
  readonly disable: (disabling: Disabling) => Promise<void>;
  readonly log: { warn(fields: object, message: string): void; error(fields: object, message: string): void };
};

/** Records judged together; each holds up to 64 outcomes. */
const BATCH_RECORDS = 200;
/** Of the subscriptions that fail, whose ids are kept in memory; with more than these, every outcome is taken to the database. */
const REMEMBERED = 10_000;
/** After so many batches it is asked whether they are fewer by now. */
const BATCHES_OF_MANY = 1_000;
/** What is looked at of an outcome, as the database takes it: what it refuses once it refuses for ever, and nothing behind it would be judged. */
const judged = z.object({
  subscription_id: z.string().regex(/^[\x21-\x7e]*$/),
  at: timeInUtc,
  attempt: z.object({ started_at: timeInUtc }).optional(),
});
const DISABLED_AT_ONCE = 16;
const FIRST_RETRY_MS = 100;
const LONGEST_RETRY_MS = 5_000;

/** No outcome that is not a success is without one of these, however its JSON is written. */
const mentionsFailure = ({ value }: IncomingRecord): boolean => value?.includes('retrying') === true || value?.includes('failed') === true;

/**
 * Disables subscriptions for what their deliveries came to: one batch of outcomes at a time, those that arrive meanwhile go with the next.
 *
 * While nothing fails nothing is asked of the database, and the outcomes are not even parsed: a success matters only to a subscription
 * that was failing, and which ones were is known here. All outcomes of a subscription are in one partition, and only who reads that writes
 * its row; so what is known stays true for as long as each partition is read without a gap. A gap says that somebody else has read in
 * between, and then it is asked for anew.
 */
export class AutomaticChanges {
  readonly #options: AutomaticChangesOptions;
  /** Offset that each partition goes on at if nobody else reads it. */
  readonly #next = new Map<number, number>();
  /** Undefined: not known; 'many': more than are remembered. */
  #failing: Set<string> | 'many' | undefined;
  #batchesOfMany = 0;
  #waiting: IncomingRecord[] = [];
  #isWorking = false;
  #trouble: string | undefined;
  readonly #stop = new AbortController();

  constructor(options: AutomaticChangesOptions) {
    this.#options = options;
  }

  /** Why the last batch failed; undefined while all is well. */
  get trouble(): string | undefined {
    return this.#trouble;
  }

  /** Never throws and never waits, as the consumer demands of whom it hands records to, which bounds what waits here. */
  add(record: IncomingRecord): void {
    this.#waiting.push(record);
    if (this.#isWorking) return;
    this.#isWorking = true;
    // The rest of what was fetched together is handed over in the same turn.
    setImmediate(() => void this.#work());
  }

  /** Begins nothing more. What is not done will be read again. */
  close(): void {
    this.#stop.abort();
  }

  async #work(): Promise<void> {
    while (this.#waiting.length > 0 && !this.#stop.signal.aborted) {
      const batch = this.#waiting.slice(0, BATCH_RECORDS);
      this.#waiting = this.#waiting.slice(BATCH_RECORDS);
      await this.#untilJudged(batch);
    }
    this.#isWorking = false;
  }

  async #untilJudged(batch: readonly IncomingRecord[]): Promise<void> {
    for (let retryMs = FIRST_RETRY_MS; !this.#stop.signal.aborted; retryMs = Math.min(2 * retryMs, LONGEST_RETRY_MS)) {
      const ours = batch.filter(({ revoked }) => !revoked);
      if (ours.length === 0) return;
      try {
        await this.#judge(ours);
        this.#trouble = undefined;
        for (const record of ours) record.done();
        return;
      } catch (err) {
        this.#trouble = err instanceof Error ? err.message : String(err);
        this.#failing = undefined;
        this.#options.log.warn({ err, records: ours.length, retryMs }, 'could not judge outcomes, trying again');
        await delay(retryMs, undefined, { signal: this.#stop.signal }).catch(() => undefined);
      }
    }
  }

  async #judge(batch: readonly IncomingRecord[]): Promise<void> {
    if (!this.#isGapless(batch)) this.#failing = undefined;
    const failing = (this.#failing ??= await this.#askWhoFails());
    if (failing !== 'many' && failing.size === 0 && !batch.some(mentionsFailure)) return;
    const signs = [...signsOf(this.#outcomesOf(batch))];
    const telling = new Map(signs.filter(([subscription, sign]) => sign.failing !== undefined || sign.gone !== undefined || failing === 'many' || failing.has(subscription)));
    if (telling.size === 0) return;
    const verdicts = await this.#options.table.record(telling);
    await this.#disableAll(verdicts, telling);
    this.#remember(verdicts, failing);
  }

  /** Remembers, too, where the partitions go on. */
  #isGapless(batch: readonly IncomingRecord[]): boolean {
    let gapless = true;
    for (const { partition, offset } of batch) {
      if (this.#next.get(partition) !== Number(offset)) gapless = false;
      this.#next.set(partition, Number(offset) + 1);
    }
    return gapless;
  }

  async #askWhoFails(): Promise<Set<string> | 'many'> {
    const failing = await this.#options.table.failing(REMEMBERED + 1);
    return failing.length > REMEMBERED ? 'many' : new Set(failing);
  }

  *#outcomesOf(batch: readonly IncomingRecord[]): Iterable<Outcome> {
    for (const { topic, partition, offset, headers, value } of batch) {
      try {
        requireKnownSchema(headers);
        const { outcomes } = JSON.parse(String(value)) as Attempted; // the sender's own
        for (const outcome of outcomes) judged.parse(outcome);
        yield* outcomes;
      } catch (err) {
        // At worst one subscription is disabled later than it could have been: no reason to stop the registry for.
        this.#options.log.error({ err, topic, partition, offset }, 'outcomes that cannot be read are passed over');
      }
    }
  }

  async #disableAll(verdicts: readonly Verdict[], signs: ReadonlyMap<string, Sign>): Promise<void> {
    const disablings = verdicts.flatMap(({ subscription, reason, observed_at }): Disabling[] => {
      const sign = signs.get(subscription);
      const seen = reason === 'gone' ? sign?.gone : sign?.failing?.last;
      return reason && observed_at && seen ? [{ subscription, reason, observedAt: observed_at.toISOString(), delivery: seen.delivery }] : [];
    });
    while (disablings.length > 0) await Promise.all(disablings.splice(0, DISABLED_AT_ONCE).map((one) => this.#options.disable(one)));
  }

  #remember(verdicts: readonly Verdict[], failing: Set<string> | 'many'): void {
    if (failing === 'many') {
      this.#batchesOfMany = (this.#batchesOfMany + 1) % BATCHES_OF_MANY;
      if (this.#batchesOfMany === 0) this.#failing = undefined;
      return;
    }
    for (const verdict of verdicts) {
      if (verdict.failing) failing.add(verdict.subscription);
      else failing.delete(verdict.subscription);
    }
    if (failing.size > REMEMBERED) this.#failing = 'many';
  }
}
