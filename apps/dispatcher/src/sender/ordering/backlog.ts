import type { Round } from '../cancelling/cancelled-rounds.js';
import type { Ordered } from './keyed-queues.js';

/** A delivery by its place in `deliveries.requested`, which is also its place in its key's order. */
export type Place = {
  /** Of the record, derived from what it is: a topic that was made anew has other records at the same offsets. A UUID. */
  readonly record: string;
  readonly offset: number;
  /** Among the record's subscriptions. */
  readonly index: number;
};

/** A delivery as it is put into the backlog. */
export type Row = Ordered &
  Place & {
    /** As `deliveryOfDay` names it. */
    readonly delivery: string;
    readonly round: number;
    /** Of the attempt that is still to be made. */
    readonly number: number;
    readonly isReserved: boolean;
    /** Milliseconds since 1970; `AT_ONCE`: it is under way, and due for whoever comes after us. Undefined: another one is before it. */
    readonly dueAtMs: number | undefined;
    /** It is only to be known, should its record be read again; the record itself is not needed. */
    readonly isEnded: boolean;
  };

/** A record of `deliveries.requested`, stored once for all its deliveries that have to wait. */
export type StoredRecord = {
  readonly id: string;
  readonly offset: number;
  /** In `registry.state`, that it was routed at. */
  readonly position: number;
  readonly value: Buffer;
};

/** A row that comes back, with its record's value. */
export type StoredRow = Ordered & Place & { readonly number: number; readonly isReserved: boolean; readonly dueAtMs: number; readonly value: Buffer };

/** A row's turn has come and gone: what is to be next of its key is asked for. */
export type Advance = Ordered & {
  readonly ended: readonly Place[];
  /** The head before all, or as many of the first rows as there are, within reason. */
  readonly wants: 'head' | 'many';
};

export type Postponement = Place & { readonly dueAtMs: number; readonly number: number; readonly isReserved: boolean };

/** A partition is held by whoever took it last; what earlier holders write is refused. */
export type Holding = { readonly partition: number; readonly epoch: number };

/** What there is in a partition when it is taken. */
export type Holdings = Holding & {
  readonly keys: readonly (Ordered & { readonly rows: number; readonly head: Round })[];
  /** Of records that may be read again, by `placeKey`: those that are in the backlog already, also if they have ended. */
  readonly known: ReadonlySet<string>;
  /** The latest position in `registry.state` that any of the records was routed at. */
  readonly position: number;
};

/** Where reading of due heads stands: everything up to there has been read. */
export type DueCursor = { readonly dueAtMs: number; readonly offset: number; readonly index: number };

export const AT_ONCE = 0;
/** Before everything, also before what is due at once. */
export const BEFORE_ALL: DueCursor = { dueAtMs: -1, offset: -1, index: -1 };

/** Another sender has taken the partition: what was to be written is its to write. */
export class HoldingLost extends Error {
  override readonly name = 'HoldingLost';
}

/**
 * What waits for its turn, of all partitions. Statements are carried out in the order of the calls; each can be repeated when its answer was lost.
 * @throws {HoldingLost} from every method with a holding; any other error means that nothing is known of what came of the statement
 */
export interface Backlog {
  /** @param committed offset that the partition will not be read below: what has ended before it is forgotten */
  take(partition: number, committed: number): Promise<Holdings>;
  /** @returns places of rows that are not stored, because their delivery waits already, in the same round, by another record */
  park(holding: Holding, records: readonly StoredRecord[], rows: readonly Row[]): Promise<readonly Place[]>;
  /** Gives heads another time. */
  postpone(holding: Holding, changes: readonly Postponement[]): Promise<void>;
  /**
   * Ends rows. The first that is left of each key becomes its head, at once.
   * @returns for each of them, in order, the first row or rows that are left
   */
  advance(holding: Holding, advances: readonly Advance[]): Promise<readonly (readonly StoredRow[])[]>;
  /** The first of the heads that are due, by due time and place, from the cursor on: fewer than the limit where they are large. None: there are none. */
  due(holding: Holding, nowMs: number, after: DueCursor, limit: number): Promise<readonly StoredRow[]>;
  /** When the first head after the cursor is due. */
  nextDueMs(holding: Holding, after: DueCursor): Promise<number | undefined>;
  /** Makes the heads of a subscription due now, if they are not. */
  hasten(holding: Holding, subscription: string, nowMs: number): Promise<void>;
  /** The same of single rounds of deliveries, of those of them that are heads. */
  hastenRounds(holding: Holding, rounds: readonly Round[], nowMs: number): Promise<void>;
  /** Forgets what has ended and will not be read again. @returns how many rows that have ended are left */
  forget(holding: Holding, committed: number): Promise<number>;
  close(): Promise<void>;
}

export const placeKey = ({ record, index }: Pick<Place, 'record' | 'index'>): string => `${record}/${index}`;
