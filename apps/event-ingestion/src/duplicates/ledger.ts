import type { Duplicate } from '@posthorn/contracts';

/** Ids whose counts are kept by one writer. */
export const MOST_IDS = 10_000;
/** Ids whose last counts may still wait to be written beside them. */
const MOST_CLOSED_IDS = 2 * MOST_IDS;

/** What one writer of `events.duplicated` has to tell. */
export type Telling = { readonly writer: string; readonly duplicates: readonly Duplicate[] };

type Seen = { readonly tenant: string; readonly event_id: string; readonly first_at: string; count: number; last_at: string; isTold: boolean };

/**
 * How often each event came again. Counts only grow, so that whoever reads them needs only the greatest, however often they are told: an id that is
 * sent a million times is one entry a telling. When there are as many ids as are kept, or the UTC day is over, the counts are closed and begin anew under
 * the name of another writer.
 */
export class DuplicateLedger {
  #seen = new Map<string, Seen>();
  #changed: Seen[] = [];
  #writer: string;
  #day = '';
  /** Of writers before, not yet told. */
  #closed: Telling[] = [];
  #closedIds = 0;
  readonly #newWriter: () => string;
  readonly #onDropped: (ids: number) => void;

  constructor({ newWriter, onDropped }: { readonly newWriter: () => string; /** Ids whose last counts nobody will learn of. */ readonly onDropped: (ids: number) => void }) {
    this.#newWriter = newWriter;
    this.#writer = newWriter();
    this.#onDropped = onDropped;
  }

  note(tenant: string, event_id: string, nowMs: number): void {
    const at = new Date(nowMs).toISOString();
    this.#beginAnewOn(at.slice(0, 'yyyy-mm-dd'.length));
    const key = `${tenant} ${event_id}`;
    const known = this.#seen.get(key);
    if (known === undefined) {
      const seen: Seen = { tenant, event_id, first_at: at, count: 1, last_at: at, isTold: false };
      this.#seen.set(key, seen);
      this.#changed.push(seen);
      return;
    }
    known.count += 1;
    known.last_at = at;
    if (!known.isTold) return;
    known.isTold = false;
    this.#changed.push(known);
  }

  get hasToTell(): boolean {
    return this.#changed.length > 0 || this.#closed.length > 0;
  }

  /** What has changed since it was taken last. */
  take(): readonly Telling[] {
    const tellings = this.#closed;
    this.#closed = [];
    this.#closedIds = 0;
    const open = this.#takeOpen();
    return open === undefined ? tellings : [...tellings, open];
  }

  /** They were not written: they are told with the next. */
  putBack(tellings: readonly Telling[]): void {
    for (const telling of tellings) this.#keep(telling);
  }

  #takeOpen(): Telling | undefined {
    if (this.#changed.length === 0) return undefined;
    const duplicates = this.#changed.map(({ tenant, event_id, count, first_at, last_at }) => ({ tenant, event_id, count, first_at, last_at }));
    for (const seen of this.#changed) seen.isTold = true;
    this.#changed = [];
    return { writer: this.#writer, duplicates };
  }

  #beginAnewOn(day: string): void {
    if (day === this.#day && this.#seen.size < MOST_IDS) return;
    this.#day = day;
    const last = this.#takeOpen();
    if (last) this.#keep(last);
    this.#seen = new Map();
    this.#writer = this.#newWriter();
  }

  #keep(telling: Telling): void {
    const ids = telling.duplicates.length;
    if (this.#closedIds + ids > MOST_CLOSED_IDS) return this.#onDropped(ids);
    this.#closed.push(telling);
    this.#closedIds += ids;
  }
}
