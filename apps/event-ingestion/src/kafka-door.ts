import { eventIdOfRecord, REGISTRY_POSITION_HEADER, rejectionIdOfRecord } from '@posthorn/contracts';
import type { IncomingRecord } from '@posthorn/kafka';
import { accept, type Acceptable, type Verdict } from './acceptance/accept.js';
import type { Draft, Refusal } from './acceptance/draft.js';
import { draftOfRecord, type Tombstone } from './acceptance/forms.js';
import type { Admission } from './catalogue/admission.js';
import { isClosed } from './catalogue/reading.js';
import type { Ruling } from './catalogue/ruling.js';
import type { Outlet } from './outlet.js';

export type KafkaDoorOptions = {
  readonly outlet: Outlet;
  /** Waits for what it has to know as long as it takes. */
  readonly admission: Admission;
  readonly maxEventBytes: number;
  /** Of topics that do not hold the forms of `events.inbound`. */
  readonly readers?: ReadonlyMap<string, ReadRecord>;
};

export type ReadRecord = (record: IncomingRecord) => Draft | Refusal | Tombstone;

/** As those of `events.inbound` are read. */
export const readForms: ReadRecord = ({ headers, value }) => draftOfRecord(headers, value);

/** As long as `events.inbound` keeps its records. */
const OLDEST_MS = 7 * 24 * 3_600_000;

/**
 * By the record's clock, which may be ahead of ours. In a topic of others it may also say anything, as far back as 1970, or nothing (-1, of
 * very old clients); every day that an event is accepted on has its place in the audit, so days long past are not made on such a word.
 */
const acceptedMsOf = ({ timestampMs }: IncomingRecord, nowMs: number): number =>
  timestampMs > nowMs - OLDEST_MS ? Math.min(nowMs, timestampMs) : nowMs;

/**
 * Everything about the event follows from the record, so that reading it again, after a crash, gives the same event: its id from
 * its place, its day from the broker's clock.
 */
export const judgeRecord = (record: IncomingRecord, read: ReadRecord, nowMs: number, maxBytes: number): Verdict | Tombstone => {
  const draft = read(record);
  if (draft.kind !== 'draft') return draft;
  return accept(draft, {
    acceptedMs: acceptedMsOf(record, nowMs),
    newId: () => eventIdOfRecord(record.topic, record.partition, record.offset, record.timestampMs),
    isNewIdStable: true,
    source: `/kafka/${record.topic}`,
    traceparent: record.headers['traceparent']?.toString('latin1'),
    registryPosition: record.headers[REGISTRY_POSITION_HEADER]?.toString('latin1'),
    maxBytes,
  });
};

/** Events from Kafka. A record is done when Kafka has acknowledged what became of it. */
export class KafkaDoor {
  constructor(private readonly options: KafkaDoorOptions) {}

  readonly onRecord = (record: IncomingRecord): void => {
    const startedMs = performance.now();
    const { readers, maxEventBytes } = this.options;
    const verdict = judgeRecord(record, readers?.get(record.topic) ?? readForms, Date.now(), maxEventBytes);
    if (verdict.kind === 'tombstone') {
      this.options.outlet.skip(startedMs);
      return record.done();
    }
    const ended =
      verdict.kind === 'refused' ? this.#reject(verdict, record, startedMs) : this.#enter(verdict, record, startedMs);
    void ended.then(
      () => record.done(),
      (error: unknown) => {
        // Closing: the record is not done, and whoever reads the partition next begins with it.
        if (isClosed(error)) return;
        // Kafka takes neither the event nor its rejection (the topic is gone, or not ours to write). Unhandled, it ends the
        // process: better than to pass over events one by one.
        throw error;
      },
    );
  };

  #reject(refusal: Refusal, record: IncomingRecord, startedMs: number): Promise<void> {
    const { topic, partition, offset, timestampMs, headers, value } = record;
    const id = rejectionIdOfRecord(topic, partition, offset, timestampMs);
    return this.options.outlet.reject(refusal, { id, record: { topic, partition, offset }, headers, value }, startedMs);
  }

  /** Synchronous up to the producer while all is known that there is to know: events leave in the order in which they came. */
  #enter(event: Acceptable, record: IncomingRecord, startedMs: number): Promise<void> {
    const { outlet, admission } = this.options;
    const use = (ruling: Ruling): Promise<void> =>
      ruling.kind === 'admitted' ? outlet.accept(ruling.event, startedMs) : this.#reject(ruling, record, startedMs);
    return admission.admit(event, use, startedMs);
  }
}
