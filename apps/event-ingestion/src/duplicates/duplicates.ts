import { randomBytes } from 'node:crypto';
import { SCHEMA_HEADER, SCHEMA_VERSION, type Duplicated } from '@posthorn/contracts';
import type { Logger, OutgoingRecord } from '@posthorn/kafka';
import { DuplicateLedger, type Telling } from './ledger.js';

/** How long a duplicate may wait to be told of: nobody waits for it, and a flood of one id becomes one entry in so long. */
const TOLD_EVERY_MS = 1_000;
/** Ids in one record: at most a few hundred bytes each. */
const IDS_PER_RECORD = 500;

export type DuplicatesParts = {
  /** Name of `events.duplicated` on the broker. */
  readonly topic: string;
  readonly send: (record: OutgoingRecord) => Promise<unknown>;
  readonly onDropped: (ids: number) => void;
  readonly log: Logger;
};

/** Tells the history which events came again. Beside the way of the events: nobody waits for it, and it fails by itself. */
export class Duplicates {
  readonly #ledger: DuplicateLedger;
  #timer: NodeJS.Timeout | undefined;
  #isClosed = false;

  constructor(private readonly parts: DuplicatesParts) {
    this.#ledger = new DuplicateLedger({ newWriter: () => randomBytes(8).toString('hex'), onDropped: parts.onDropped });
  }

  note(tenant: string, eventId: string): void {
    this.#ledger.note(tenant, eventId, Date.now());
    this.#tellSoon();
  }

  /** Tells what there is to tell, once more. */
  async close(): Promise<void> {
    this.#isClosed = true;
    clearTimeout(this.#timer);
    await this.#tell();
  }

  #tellSoon(): void {
    if (this.#isClosed) return;
    this.#timer ??= setTimeout(() => {
      void this.#tell().then(() => {
        this.#timer = undefined;
        if (this.#ledger.hasToTell) this.#tellSoon();
      });
    }, TOLD_EVERY_MS).unref();
  }

  async #tell(): Promise<void> {
    await Promise.all(this.#ledger.take().flatMap(inRecords).map((telling) => this.#send(telling)));
  }

  async #send(telling: Telling): Promise<void> {
    const { topic, send, log } = this.parts;
    const value = JSON.stringify({ ...telling, duplicates: [...telling.duplicates] } satisfies Duplicated);
    try {
      await send({ topic, key: telling.writer, value: Buffer.from(value), headers: { [SCHEMA_HEADER]: SCHEMA_VERSION } });
    } catch (err) {
      log.warn({ err, ids: telling.duplicates.length }, 'could not tell of duplicates, trying again with the next');
      this.#ledger.putBack([telling]);
    }
  }
}

const inRecords = ({ writer, duplicates }: Telling): readonly Telling[] =>
  Array.from({ length: Math.ceil(duplicates.length / IDS_PER_RECORD) }, (_, i) => ({
    writer,
    duplicates: duplicates.slice(i * IDS_PER_RECORD, (i + 1) * IDS_PER_RECORD),
  }));
