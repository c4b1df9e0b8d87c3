import { setImmediate as turn } from 'node:timers/promises';
import type { FollowedRecord, Following, Kafka } from '@posthorn/kafka';
import { Batch } from '../loading/batch.js';
import { foldRows } from '../loading/fold.js';
import { foldedTopics, foldRecord, foldsOf } from '../loading/folds.js';
import { UnfoldableRecord } from '../loading/intake.js';
import { countOf, type Rows } from '../loading/rows.js';
import type { Standing } from './progress.js';

const MIB = 1024 * 1024;
/** Nobody waits for a single row: larger than those of the service, and never waited for. */
const BATCHES = { rows: 10_000, bytes: 8 * MIB, ageMs: 0 };
/** Records that are read and not yet loaded, at most, and one fetch more of each topic. */
const MOST_WAITING_BYTES = 32 * MIB;

/** Where each topic is read from, by its name on the broker and by partition. */
export type Beginnings = ReadonlyMap<string, ReadonlyMap<number, number>>;

type TopicsRead = Pick<Kafka, 'topic' | 'follow'>;

type Folded = { readonly content: Rows; readonly rows: number; readonly bytes: number };

/** Reads the topics again, beside whoever reads them, and loads what they say: as fast as the tables take it, with bounded memory. */
export class HistoryReader {
  readonly #kafka: TopicsRead;
  readonly #load: (rows: Rows) => Promise<unknown>;
  readonly #folds;
  readonly #batch = new Batch<Folded>(BATCHES);
  readonly #expected = new Map<string, number>();
  #followings: readonly Following[] = [];
  #waitingBytes = 0;
  #read = 0;
  #loading: Promise<void> | undefined;
  /** Of those who wait until less is waiting. */
  #ready: (() => void)[] = [];
  #fail: (error: Error) => void = () => undefined;
  /** Rejects when something has failed for good; never resolves. */
  readonly #failed = new Promise<never>((_, reject) => (this.#fail = reject));
  #isOver = false;

  constructor(kafka: TopicsRead, load: (rows: Rows) => Promise<unknown>) {
    this.#kafka = kafka;
    this.#load = load;
    this.#folds = foldsOf(kafka);
    // Whoever waits for anything is told; until then nobody need listen.
    this.#failed.catch(() => undefined);
  }

  async start(beginnings: Beginnings): Promise<void> {
    for (const [topic, from] of beginnings) for (const [partition, offset] of from) this.#expected.set(`${topic} ${partition}`, offset);
    this.#followings = await Promise.all(
      foldedTopics.map((name) => {
        const topic = this.#kafka.topic(name);
        return this.#kafka.follow({ topic, from: beginnings.get(topic), onRecord: (record) => this.#take(topic, record), whenReady: () => this.#whenReady() });
      }),
    );
  }

  /** Records read, and those that are left as far as has been seen. */
  get standing(): Standing {
    return { read: this.#read, left: this.#followings.reduce((sum, { lag }) => sum + lag, 0) };
  }

  /**
   * Resolves when everything in the topics at the moment of the call is in the tables.
   * @throws what reading or loading failed of
   */
  async readToEnd(): Promise<void> {
    await Promise.race([Promise.all(this.#followings.map((following) => following.readToEnd())), this.#failed]);
    while (this.#loading) await Promise.race([this.#loading, this.#failed]);
    await Promise.race([this.#failed, undefined]);
  }

  async close(): Promise<void> {
    this.#isOver = true;
    this.#letReadersGo();
    await Promise.all(this.#followings.map((following) => following.close()));
    await this.#loading;
  }

  #take(topic: string, record: FollowedRecord): void {
    if (this.#isOver) return;
    const { partition, offset, value, headers } = record;
    try {
      this.#expectNext(`${topic} ${partition}`, Number(offset));
      const content = foldRecord(this.#folds, { topic, value, headers });
      const bytes = value?.length ?? 0;
      this.#batch.add({ content, rows: countOf(content), bytes }, 0);
      this.#waitingBytes += bytes;
      this.#read += 1;
    } catch (error) {
      return this.#giveUp(new UnfoldableRecord({ topic, partition, offset }, error));
    }
    this.#loading ??= this.#loadAll().finally(() => (this.#loading = undefined));
  }

  /** Our topics have no gaps: what is missing was deleted before it was read, and would be missing in the tables. */
  #expectNext(place: string, offset: number): void {
    const expected = this.#expected.get(place);
    this.#expected.set(place, offset + 1);
    if (expected !== undefined && offset !== expected) throw new RangeError(`records from ${expected} on were deleted before they were read`);
  }

  async #loadAll(): Promise<void> {
    // What was fetched at once is loaded at once.
    await turn();
    try {
      while (!this.#isOver && this.#batch.dueInMs(0) !== undefined) {
        const batch = this.#batch.take();
        await this.#load(foldRows(batch.map(({ content }) => content)));
        this.#waitingBytes -= batch.reduce((sum, { bytes }) => sum + bytes, 0);
        if (this.#waitingBytes < MOST_WAITING_BYTES) this.#letReadersGo();
      }
    } catch (error) {
      this.#giveUp(error instanceof Error ? error : new Error(String(error)));
    }
  }

  #whenReady(): Promise<void> {
    if (this.#isOver || this.#waitingBytes < MOST_WAITING_BYTES) return Promise.resolve();
    return new Promise((resolve) => void this.#ready.push(resolve));
  }

  #letReadersGo(): void {
    for (const ready of this.#ready.splice(0)) ready();
  }

  #giveUp(error: Error): void {
    this.#isOver = true;
    this.#fail(error);
    this.#letReadersGo();
  }
}
