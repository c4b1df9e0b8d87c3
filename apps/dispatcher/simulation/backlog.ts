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
} from '../src/sender/ordering/backlog.js';
import type { Round } from '../src/sender/cancelling/cancelled-rounds.js';
import { idOfDelivery } from '../src/sender/delivery.js';
import type { Chance } from './chance.js';
import { Life, type Clock } from './clock.js';

type Kept = Omit<Row, 'dueAtMs' | 'isEnded' | 'number' | 'isReserved'> & {
  readonly partition: number;
  number: number;
  isReserved: boolean;
  dueAtMs: number | undefined;
  isEnded: boolean;
};

class DatabaseAway extends Error {
  override readonly name = 'DatabaseAway';
}

const ONE_WAY_MS = [0.2, 1.5] as const;
/** How many rows of a key are read at once when none of them is to be attempted. */
const MANY = 50;

/**
 * PostgreSQL as the backlog sees it (`ordering/pg-backlog.ts`, `migrations.ts`): each statement is carried out wholly or not at all, also when
 * who sent it does not live to hear of it, and refused when its sender's holding has been taken by another.
 */
export class Database {
  isDown = false;
  readonly #life = new Life('database');
  readonly #epochs = new Map<number, number>();
  readonly #records = new Map<string, StoredRecord & { readonly partition: number }>();
  readonly #rows = new Map<string, Kept>();
  #statements = 0;

  constructor(
    private readonly clock: Clock,
    private readonly chance: Chance,
    /** Told after each statement that has changed something. */
    private readonly onWritten: (client: Life, statement: string) => void,
  ) {}

  /** The number under which a round of a delivery, by its id, waits; undefined when it does not. */
  waitsAs({ delivery, round }: Round): number | undefined {
    for (const row of this.#rows.values()) if (idOfDelivery(row.delivery) === delivery && row.round === round && !row.isEnded) return row.number;
    return undefined;
  }

  /** A connection of its own for each process: statements go one after the other. */
  connect(client: Life): Backlog {
    let freeAtMs = 0;
    const ask = <T>(statement: string, run: () => T): Promise<T> =>
      new Promise((resolve, reject) => {
        this.#statements += 1;
        const latencyMs = this.chance.between(`statement ${this.#statements}`, ...ONE_WAY_MS);
        freeAtMs = Math.max(freeAtMs, this.clock.nowMs) + latencyMs;
        this.clock.after(this.#life, freeAtMs - this.clock.nowMs, () => {
          const wasDown = this.isDown;
          let answer: () => void;
          try {
            if (wasDown) throw new DatabaseAway('the connection was lost');
            const result = run();
            this.onWritten(client, statement);
            answer = () => resolve(result);
          } catch (error) {
            answer = () => reject(error);
          }
          // Carried out, and its answer lost with the connection.
          this.clock.after(client, latencyMs, () => (this.isDown && !wasDown ? reject(new DatabaseAway('the connection was lost')) : answer()));
        });
      });
    const held = <T>(statement: string, holding: Holding, run: () => T): Promise<T> =>
      ask(statement, () => {
        if (this.#epochs.get(holding.partition) !== holding.epoch) throw new HoldingLost('another sender has taken the partition');
        return run();
      });
    return {
      take: (partition, committed) => ask('take', () => this.#take(partition, committed)),
      park: (holding, records, rows) => held('park', holding, () => this.#park(holding.partition, records, rows)),
      postpone: (holding, changes) => held('postpone', holding, () => this.#postpone(changes)),
      advance: (holding, advances) => held('advance', holding, () => advances.map((advance) => this.#advance(holding.partition, advance))),
      due: (holding, nowMs, after, limit) =>
        held('due', holding, () => {
          const due = this.#heads(holding.partition, after).filter(({ dueAtMs }) => dueAtMs <= nowMs);
          return due.slice(0, limit).map((row) => this.#stored(row));
        }),
      nextDueMs: (holding, after) => held('next due', holding, () => this.#heads(holding.partition, after)[0]?.dueAtMs),
      hasten: (holding, subscription, nowMs) =>
        held('hasten', holding, () => {
          for (const row of this.#rowsOf(holding.partition)) {
            if (row.subscription === subscription && !row.isEnded && row.dueAtMs !== undefined) row.dueAtMs = Math.min(row.dueAtMs, nowMs);
          }
        }),
      hastenRounds: (holding, rounds, nowMs) =>
        held('hasten rounds', holding, () => {
          for (const row of this.#rowsOf(holding.partition)) {
            const isMeant = rounds.some(({ delivery, round }) => delivery === row.delivery && round === row.round);
            if (isMeant && !row.isEnded && row.dueAtMs !== undefined) row.dueAtMs = Math.min(row.dueAtMs, nowMs);
          }
        }),
      forget: (holding, committed) => held('forget', holding, () => this.#forget(holding.partition, committed)),
      close: async () => undefined,
    };
  }

  #take(partition: number, committed: number): Holdings {
    const epoch = (this.#epochs.get(partition) ?? 0) + 1;
    this.#epochs.set(partition, epoch);
    this.#forget(partition, committed);
    const counts = new Map<string, { readonly subscription: string; readonly key: string; readonly head: Round; rows: number }>();
    const known = new Set<string>();
    for (const row of this.#rowsOf(partition).sort(byPlace)) {
      if (row.offset >= committed) known.add(placeKey(row));
      if (row.isEnded) continue;
      const chain = `${row.subscription} ${row.key}`;
      const { delivery, round } = row;
      const count = counts.get(chain) ?? { subscription: row.subscription, key: row.key, head: { delivery, round }, rows: 0 };
      count.rows += 1;
      counts.set(chain, count);
    }
    const positions = [...this.#records.values()].filter((record) => record.partition === partition).map(({ position }) => position);
    return { partition, epoch, keys: [...counts.values()], known, position: Math.max(0, ...positions) };
  }

  #park(partition: number, records: readonly StoredRecord[], rows: readonly Row[]): readonly Place[] {
    for (const record of records) if (!this.#records.has(record.id)) this.#records.set(record.id, { ...record, partition });
    for (const row of rows) {
      const isThere = this.#rows.has(placeKey(row)) || (!row.isEnded && this.#waits(row));
      if (!isThere) this.#rows.set(placeKey(row), { ...row, partition });
    }
    return rows.filter((row) => !this.#rows.has(placeKey(row)));
  }

  #waits({ delivery, round }: Row): boolean {
    for (const row of this.#rows.values()) if (!row.isEnded && row.delivery === delivery && row.round === round) return true;
    return false;
  }

  #postpone(changes: readonly Postponement[]): void {
    for (const change of changes) {
      const row = this.#rows.get(placeKey(change));
      if (row === undefined || row.isEnded) continue;
      row.dueAtMs = change.dueAtMs;
      row.number = change.number;
      row.isReserved = change.isReserved;
    }
  }

  #advance(partition: number, { subscription, key, ended, wants }: Advance): readonly StoredRow[] {
    for (const place of ended) {
      const row = this.#rows.get(placeKey(place));
      if (row === undefined || row.isEnded) continue;
      row.isEnded = true;
      row.dueAtMs = undefined;
    }
    const left = this.#rowsOf(partition)
      .filter((row) => row.subscription === subscription && row.key === key && !row.isEnded)
      .sort(byPlace);
    const [head] = left;
    if (head !== undefined) head.dueAtMs = AT_ONCE;
    return left.slice(0, wants === 'head' ? 1 : MANY).map((row) => this.#stored(row));
  }

  #forget(partition: number, committed: number): number {
    let left = 0;
    for (const row of this.#rowsOf(partition)) {
      if (!row.isEnded) continue;
      if (row.offset < committed) this.#rows.delete(placeKey(row));
      else left += 1;
    }
    return left;
  }

  #heads(partition: number, after: DueCursor): readonly (Kept & { readonly dueAtMs: number })[] {
    return this.#rowsOf(partition)
      .filter((row): row is Kept & { dueAtMs: number } => !row.isEnded && row.dueAtMs !== undefined)
      .filter((row) => byDue(row, after) > 0)
      .sort(byDue);
  }

  #rowsOf(partition: number): Kept[] {
    return [...this.#rows.values()].filter((row) => row.partition === partition);
  }

  #stored({ subscription, key, record, offset, index, number, isReserved, dueAtMs = AT_ONCE }: Kept): StoredRow {
    const value = this.#records.get(record)?.value ?? Buffer.alloc(0);
    return { subscription, key, record, offset, index, number, isReserved, dueAtMs, value };
  }
}

const byPlace = (a: { offset: number; index: number }, b: { offset: number; index: number }): number => a.offset - b.offset || a.index - b.index;

const byDue = (a: DueCursor, b: DueCursor): number => a.dueAtMs - b.dueAtMs || byPlace(a, b);
