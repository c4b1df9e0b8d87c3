import type { Round } from '../sender/cancelling/cancelled-rounds.js';
import {
  AT_ONCE,
  HoldingLost,
  placeKey,
  type Advance,
  type Backlog,
  type DueCursor,
  type Holding,
  type Holdings,
  type Place,
  type Postponement,
  type Row,
  type StoredRecord,
  type StoredRow,
} from '../sender/ordering/backlog.js';

type Kept = Row & { readonly partition: number };

const MANY = 50;

const byPlace = (a: Place, b: Place): number => a.offset - b.offset || a.index - b.index;
const byDue = (a: DueCursor, b: DueCursor): number => a.dueAtMs - b.dueAtMs || byPlace({ ...a, record: '' }, { ...b, record: '' });

/** The rules of the backlog's tables, in memory. It survives whoever uses it, as a database does. */
export class MemoryBacklog implements Backlog {
  readonly rows = new Map<string, Kept>();
  readonly records = new Map<string, StoredRecord & { readonly partition: number }>();
  readonly #epochs = new Map<number, number>();

  async take(partition: number, committed: number): Promise<Holdings> {
    const epoch = (this.#epochs.get(partition) ?? 0) + 1;
    this.#epochs.set(partition, epoch);
    await this.forget({ partition, epoch }, committed);
    const rows = [...this.rows.values()].filter((row) => row.partition === partition);
    const live = rows.filter(({ isEnded }) => !isEnded);
    const keys = new Map<string, { subscription: string; key: string; rows: number; head: Round }>();
    for (const { subscription, key, delivery, round } of live.toSorted(byPlace)) {
      const id = `${subscription}\0${key}`;
      const known = keys.get(id);
      keys.set(id, { subscription, key, rows: (known?.rows ?? 0) + 1, head: known?.head ?? { delivery, round } });
    }
    const records = [...this.records.values()].filter((record) => record.partition === partition);
    return {
      partition,
      epoch,
      keys: [...keys.values()],
      known: new Set(rows.filter(({ offset }) => offset >= committed).map(placeKey)),
      position: Math.max(0, ...records.map(({ position }) => position)),
    };
  }

  async park(holding: Holding, records: readonly StoredRecord[], rows: readonly Row[]): Promise<readonly Place[]> {
    this.#check(holding);
    const { partition } = holding;
    for (const record of records) if (!this.records.has(record.id)) this.records.set(record.id, { ...record, partition });
    const missing = rows.filter((row) => {
      if (this.rows.has(placeKey(row))) return false;
      const waits = [...this.rows.values()].some(({ delivery, round, isEnded }) => !isEnded && delivery === row.delivery && round === row.round);
      if (waits && !row.isEnded) return true;
      this.rows.set(placeKey(row), { ...row, partition });
      return false;
    });
    this.#dropRecords();
    return missing;
  }

  async postpone(holding: Holding, changes: readonly Postponement[]): Promise<void> {
    this.#check(holding);
    for (const { dueAtMs, number, isReserved, ...place } of changes) this.#change(place, { dueAtMs, number, isReserved });
  }

  async advance(holding: Holding, advances: readonly Advance[]): Promise<readonly (readonly StoredRow[])[]> {
    this.#check(holding);
    for (const { ended } of advances) for (const place of ended) this.#change(place, { isEnded: true, dueAtMs: undefined });
    return advances.map(({ subscription, key, wants }) => {
      const rows = this.#live(holding).filter((row) => row.subscription === subscription && row.key === key);
      const next = rows.toSorted(byPlace).slice(0, wants === 'head' ? 1 : MANY);
      if (next[0] !== undefined) this.#change(next[0], { dueAtMs: AT_ONCE });
      return next.map((row) => this.#stored(row));
    });
  }

  async due(holding: Holding, nowMs: number, after: DueCursor, limit: number): Promise<readonly StoredRow[]> {
    this.#check(holding);
    return this.#waiting(holding, after)
      .filter(({ dueAtMs }) => dueAtMs <= nowMs)
      .slice(0, limit)
      .map((row) => this.#stored(row));
  }

  async nextDueMs(holding: Holding, after: DueCursor): Promise<number | undefined> {
    this.#check(holding);
    return this.#waiting(holding, after)[0]?.dueAtMs;
  }

  async hasten(holding: Holding, subscription: string, nowMs: number): Promise<void> {
    this.#check(holding);
    for (const row of this.#live(holding)) if (row.subscription === subscription && (row.dueAtMs ?? 0) > nowMs) this.#change(row, { dueAtMs: nowMs });
  }

  async hastenRounds(holding: Holding, rounds: readonly Round[], nowMs: number): Promise<void> {
    this.#check(holding);
    for (const row of this.#live(holding)) {
      if ((row.dueAtMs ?? 0) > nowMs && rounds.some(({ delivery, round }) => delivery === row.delivery && round === row.round)) this.#change(row, { dueAtMs: nowMs });
    }
  }

  async forget(holding: Holding, committed: number): Promise<number> {
    this.#check(holding);
    let left = 0;
    for (const [key, { partition, isEnded, offset }] of this.rows) {
      if (partition !== holding.partition || !isEnded) continue;
      if (offset < committed) this.rows.delete(key);
      else left += 1;
    }
    this.#dropRecords();
    return left;
  }

  async close(): Promise<void> {
    // There is no connection.
  }

  #check({ partition, epoch }: Holding): void {
    if (this.#epochs.get(partition) !== epoch) throw new HoldingLost(`partition ${partition} is another's`);
  }

  #live({ partition }: Holding): readonly Kept[] {
    return [...this.rows.values()].filter((row) => row.partition === partition && !row.isEnded);
  }

  #waiting(holding: Holding, after: DueCursor): readonly (Kept & { readonly dueAtMs: number })[] {
    return this.#live(holding)
      .filter((row): row is Kept & { readonly dueAtMs: number } => row.dueAtMs !== undefined)
      .filter((row) => byDue(row, after) > 0)
      .toSorted(byDue);
  }

  #change(place: Pick<Place, 'record' | 'index'>, change: Partial<Row>): void {
    const row = this.rows.get(placeKey(place));
    if (row !== undefined && !row.isEnded) this.rows.set(placeKey(place), { ...row, ...change });
  }

  #stored({ subscription, key, record, offset, index, number, isReserved }: Kept): StoredRow {
    const dueAtMs = this.rows.get(placeKey({ record, index }))?.dueAtMs ?? AT_ONCE;
    const value = this.records.get(record)?.value;
    if (value === undefined) throw new Error(`the backlog has no record ${record}`);
    return { subscription, key, record, offset, index, number, isReserved, dueAtMs, value };
  }

  #dropRecords(): void {
    const used = new Set([...this.rows.values()].map(({ record }) => record));
    for (const id of this.records.keys()) if (!used.has(id)) this.records.delete(id);
  }
}
