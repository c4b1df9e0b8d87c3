import { setTimeout as delay } from 'node:timers/promises';
import type { IncomingRecord, Logger } from '@posthorn/kafka';
import { Batch, type BatchLimits } from './batch.js';
import { foldRows } from './fold.js';
import { foldRecord, type Folds } from './folds.js';
import { Held, type HeldLimits } from './held.js';
import type { Written } from './loader.js';
import { countOf, type RecordRows, type Refused, type Rows, type Traced } from './rows.js';

/** The audit cannot go on past this record: it is not what it should be, or PostgreSQL refuses its rows. */
export class UnfoldableRecord extends Error {
  override readonly name = 'UnfoldableRecord';

  constructor({ topic, partition, offset }: Pick<IncomingRecord, 'topic' | 'partition' | 'offset'>, cause: unknown) {
    super(`${topic}[${partition}]@${offset}: ${messageOf(cause)}`, { cause });
  }
}

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

/**
 * SQLSTATE classes that blame the data, whichever way it is sent: cardinality (two texts that are one when stored, as keys of a batch), data exception,
 * integrity constraint, program limit exceeded.
 */
const REFUSAL_CLASSES: ReadonlySet<string> = new Set(['21', '22', '23', '54']);
/** A row without a partition counts as a check violation: the loader makes the partition on the next try. */
const CHECK_VIOLATION = '23514';

/** Whether a batch failed for what is in it; a TypeError is a member that is missing or of another type. */
const isRefusal = (error: unknown): boolean => {
  if (error instanceof TypeError) return true;
  const code = error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : '';
  return code.length === 5 && code !== CHECK_VIOLATION && REFUSAL_CLASSES.has(code.slice(0, 2));
};

const FIRST_RETRY_MS = 100;
const LONGEST_RETRY_MS = 5_000;

type Read = { readonly record: IncomingRecord; readonly readMs: number };
type Folded = Read & { readonly content: RecordRows; readonly rows: number; readonly bytes: number };

export type IntakeOptions = {
  readonly folds: Folds;
  readonly load: (rows: Rows) => Promise<Written>;
  readonly limits?: BatchLimits;
  readonly heldLimits?: HeldLimits;
  readonly log: Logger;
  /** @param traceparent of one of its facts whose trace is recorded, where there is one */
  readonly onWritten?: (written: Written, seconds: number, traceparent?: string) => void;
  /** What a record says and cannot be true: it is left out, the rest of the record is recorded. */
  readonly onRefused?: (refused: readonly Refused[]) => void;
  /** What was recorded of traces that are, once it is committed. @param readMs when its record was read, by the wall clock */
  readonly onTraced?: (record: IncomingRecord, traced: readonly Traced[], readMs: number) => void;
  /**
   * Called once, when a record cannot be folded; nothing is written after it. Skipping the record would leave a hole in the history that
   * nobody sees, so the process is expected to end. The record stays in Kafka.
   */
  readonly onUnfoldable: (error: UnfoldableRecord) => void;
};

/**
 * Records in, commits out: one transaction at a time, the records that arrive meanwhile go with the next, decisions with the first that is heard
 * of their deliveries (`held.ts`). A record is done once its rows are committed. While PostgreSQL is away the batch is tried again and again; the consumer's window bounds what waits.
 */
export class Intake {
  readonly #options: IntakeOptions;
  /** Oldest first. Rows are made of no more than the next transaction takes: as it came, a record has a fraction of their size. */
  #unfolded: Read[] = [];
  readonly #batch: Batch<Folded>;
  readonly #held: Held<Folded>;
  #timer: NodeJS.Timeout | undefined;
  /** Meaningful while there is a timer. */
  #wakesAtMs = 0;
  #isWriting = false;
  #trouble: string | undefined;
  /** Ends the wait between two tries when the intake is closed. */
  readonly #stop = new AbortController();

  constructor(options: IntakeOptions) {
    this.#options = options;
    this.#batch = new Batch(options.limits);
    this.#held = new Held(options.heldLimits);
  }

  /** Why the last write failed; undefined while all is well. */
  get trouble(): string | undefined {
    return this.#trouble;
  }

  /** Never throws and never waits, as the consumer demands of whom it hands records to. */
  add(record: IncomingRecord): void {
    if (this.#stop.signal.aborted) return;
    this.#unfolded.push({ record, readMs: Date.now() });
    this.#foldMore();
    this.#schedule();
  }

  /** Writes nothing more. What was not committed is not done, and will be read again. */
  close(): void {
    clearTimeout(this.#timer);
    this.#stop.abort();
  }

  /** Until the next transaction is full; what goes on waiting for what follows (`held.ts`) is not in it. */
  #foldMore(): void {
    let folded = 0;
    for (const read of this.#unfolded) {
      if (this.#batch.isFull || this.#stop.signal.aborted) break;
      if (!read.record.revoked) this.#fold(read);
      folded++;
    }
    if (folded > 0) this.#unfolded = this.#unfolded.slice(folded);
  }

  #fold({ record, readMs }: Read): void {
    try {
      const content = foldRecord(this.#options.folds, record);
      this.#tellRefused(record, content.refused ?? []);
      const folded = { record, readMs, content, rows: countOf(content), bytes: record.value?.length ?? 0 };
      const nowMs = performance.now();
      for (const free of this.#held.add(folded, content.deliveries, nowMs, readMs - record.timestampMs)) this.#batch.add(free, nowMs);
    } catch (error) {
      this.#giveUp(new UnfoldableRecord(record, error));
    }
  }

  #tellRefused({ topic, partition, offset }: IncomingRecord, refused: readonly Refused[]): void {
    const [first] = refused;
    if (first === undefined) return;
    // One line a record, however much in it is refused.
    this.#options.log.warn({ topic, partition, offset, refused: refused.length, first }, 'refused what a record says of deliveries');
    this.#options.onRefused?.(refused);
  }

  #giveUp(error: UnfoldableRecord): void {
    if (this.#stop.signal.aborted) return;
    this.close();
    this.#trouble = error.message;
    this.#options.onUnfoldable(error);
  }

  #schedule(): void {
    if (this.#isWriting || this.#stop.signal.aborted) return;
    const nowMs = performance.now();
    for (const free of this.#held.take(nowMs)) this.#batch.add(free, nowMs);
    const dueInMs = this.#batch.dueInMs(nowMs);
    if (dueInMs === 0) {
      clearTimeout(this.#timer);
      this.#timer = undefined;
      void this.#writeNext();
      return;
    }
    const next = Math.min(dueInMs ?? Infinity, this.#held.dueInMs(nowMs) ?? Infinity);
    if (next < Infinity) this.#wakeAt(nowMs + next, nowMs);
  }

  #wakeAt(atMs: number, nowMs: number): void {
    if (this.#timer !== undefined && this.#wakesAtMs <= atMs) return;
    clearTimeout(this.#timer);
    this.#wakesAtMs = atMs;
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      this.#schedule();
    }, atMs - nowMs);
  }

  async #writeNext(): Promise<void> {
    this.#isWriting = true;
    const writing = this.#write(this.#batch.take());
    // Meanwhile PostgreSQL works.
    this.#foldMore();
    await writing;
    this.#isWriting = false;
    this.#schedule();
  }

  /** Returns when the batch is committed, or the intake closed. */
  async #write(batch: readonly Folded[]): Promise<void> {
    for (let retryMs = FIRST_RETRY_MS; !this.#stop.signal.aborted; retryMs = Math.min(2 * retryMs, LONGEST_RETRY_MS)) {
      // Who took the partition over reads the records again.
      const ours = batch.filter(({ record }) => !record.revoked);
      if (ours.length === 0) return;
      try {
        await this.#commit(ours);
        return;
      } catch (error) {
        if (isRefusal(error)) return this.#findRefused(ours, error);
        this.#trouble = messageOf(error);
        this.#dropRevoked();
        this.#options.log.warn({ err: error, records: ours.length, retryMs }, 'could not write a batch, trying again');
        await delay(retryMs, undefined, { signal: this.#stop.signal }).catch(() => undefined);
      }
    }
  }

  /** The consumer's window does not count them any more: with each rebalance while PostgreSQL is away there would be more. */
  #dropRevoked(): void {
    this.#unfolded = this.#unfolded.filter(({ record }) => !record.revoked);
  }

  async #commit(batch: readonly Folded[]): Promise<void> {
    const start = performance.now();
    const written = await this.#options.load(foldRows(batch.map(({ content }) => content)));
    this.#trouble = undefined;
    for (const { record } of batch) record.done();
    this.#options.onWritten?.(written, (performance.now() - start) / 1_000, batch.find(({ content }) => content.traced !== undefined)?.content.traced?.[0]?.traceparent);
    for (const { record, content, readMs } of batch) if (content.traced !== undefined) this.#options.onTraced?.(record, content.traced, readMs);
  }

  /** One by one, to name the record that the batch fell through, and to commit those before it. */
  async #findRefused(batch: readonly Folded[], error: unknown): Promise<void> {
    const [first] = batch;
    if (batch.length === 1 && first) return this.#giveUp(new UnfoldableRecord(first.record, error));
    for (const one of batch) await this.#write([one]);
  }
}
