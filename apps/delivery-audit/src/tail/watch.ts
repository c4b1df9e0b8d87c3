import type { TailMissed } from '@posthorn/contracts';
import type { News } from './news.js';
import { placeText, type Place, type Point } from './place.js';
import type { Positions, Stand } from './stand.js';

/** What a watcher wants to be told of. */
export type Wanted = {
  readonly tenant: string;
  readonly subscription?: string | undefined;
  readonly status?: News['status'] | undefined;
};

/** What a watcher is told, and how far it then has come; that is left out with what was missed, so that who goes on from before it has it told. */
export type Tidings =
  | { readonly kind: 'news'; readonly news: News; readonly place: string }
  | { readonly kind: 'missed'; readonly missed: TailMissed }
  /** Nothing has happened; the place goes on all the same. */
  | { readonly kind: 'quiet'; readonly place: string };

/** A record of which somebody wants to be told, where it stands among the other partitions. */
export class TakenRecord {
  readonly #places: string[] = [];

  /** @param around where the shared reading is, before this record */
  constructor(
    readonly partition: number,
    readonly offset: number,
    readonly news: readonly News[],
    readonly around: Positions,
  ) {}

  /** How far its partition was told after so many of its news. */
  point(told: number): Point {
    return told === this.news.length ? { offset: this.offset + 1, told: 0 } : { offset: this.offset, told };
  }

  /** How far a watcher is then that stands where the shared reading does: the same for all of these. */
  place(told: number): string {
    return (this.#places[told] ??= placeText(pointsOf(this.around).set(this.partition, this.point(told))));
  }
}

const pointsOf = (positions: Positions): Map<number, Point> => new Map([...positions].map(([partition, offset]) => [partition, { offset, told: 0 }]));

/** What waits for its watcher. What is read for it alone waits apart from the bound: its reading waits too, until it is taken. */
type Waiting = { readonly tidings: Tidings; readonly bytes: number; readonly isAlone: boolean };

export type WatchOptions = {
  readonly wanted: Wanted;
  /** Of the shared reading, as they move on. */
  readonly positions: Positions;
  /** Of a watch that goes on from a place of before. */
  readonly stand?: Stand | undefined;
  /** What may wait to be taken; what comes on top is missed. */
  readonly maxBytes: number;
  /** After so long without news its watcher is told so. */
  readonly quietMs: number;
  readonly onMissed: () => void;
};

/** In one go, so that the watcher's connection can be written to in few pieces. */
const BATCH = 100;
/** Of tidings beside their texts. */
const OVERHEAD_BYTES = 200;

/** What happens to one tenant's deliveries, for one watcher: it takes at its own speed, and nobody ever waits for it. */
export class Watch {
  readonly #options: WatchOptions;
  #stand: Stand | undefined;
  #waiting: Waiting[] = [];
  #bytes = 0;
  #alone = 0;
  readonly #closing = Promise.withResolvers<void>();
  #isOver = false;
  #why: unknown;
  readonly #start: Tidings;
  #wake: () => void = () => undefined;
  #onRoom: (() => void)[] = [];

  constructor(options: WatchOptions) {
    this.#options = options;
    this.#stand = options.stand;
    this.#start = this.#quiet();
  }

  get tenant(): string {
    return this.#options.wanted.tenant;
  }

  get isOver(): boolean {
    return this.#isOver;
  }

  get closed(): Promise<void> {
    return this.#closing.promise;
  }

  /** A record of the shared reading. */
  offerShared(record: TakenRecord): void {
    const skipped = this.#stand ? this.#stand.shared(record.partition, record.offset) : 0;
    if (this.#stand?.isOver) this.#stand = undefined;
    if (skipped !== undefined) this.#offer(record, skipped, false);
  }

  /** A record that is read for this watch alone. */
  offerAlone(record: TakenRecord): void {
    const skipped = this.#stand?.alone(record.partition, record.offset, record.around);
    if (skipped !== undefined) this.#offer(record, skipped, true);
    if (this.#stand?.isOver) this.#stand = undefined;
  }

  /** That something cannot be told. */
  miss(missed: TailMissed): void {
    this.#add({ tidings: { kind: 'missed', missed }, bytes: 0, isAlone: false });
  }

  /** Resolves when everything that was read for this watch alone is taken, or nobody takes any more. */
  room(): Promise<void> {
    if (this.#alone === 0 || this.#isOver) return Promise.resolve();
    return new Promise((resolve) => void this.#onRoom.push(resolve));
  }

  /**
   * What there is to be told, again and again until the watch is closed: at first where it began. Yields when there is something, or when
   * there has been nothing for a while. Throws why the watch was closed, if it was for a reason.
   */
  async *tidings(): AsyncGenerator<readonly Tidings[]> {
    yield [this.#start];
    while (!this.#isOver) {
      if (this.#waiting.length > 0) yield this.#take();
      else if (!(await this.#somethingComes())) yield [this.#quiet()];
    }
    if (this.#why !== undefined) throw this.#why;
  }

  /** Nothing more is told. @param why what its watcher is to hear of it */
  close(why?: unknown): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#why = why;
    this.#waiting = [];
    this.#wake();
    this.#makeRoom();
    this.#closing.resolve();
  }

  #offer(record: TakenRecord, skipped: number, isAlone: boolean): void {
    const { wanted } = this.#options;
    for (const [index, news] of record.news.entries()) {
      if (index < skipped || news.tenant !== wanted.tenant) continue;
      if (wanted.subscription !== undefined && news.subscription !== wanted.subscription) continue;
      if (wanted.status !== undefined && news.status !== wanted.status) continue;
      const place = this.#placeAfter(record, index + 1);
      this.#add({ tidings: { kind: 'news', news, place }, bytes: news.text.length + place.length + OVERHEAD_BYTES, isAlone });
    }
  }

  #placeAfter(record: TakenRecord, told: number): string {
    if (this.#stand === undefined) return record.place(told);
    return placeText(this.#stand.place(record.around).set(record.partition, record.point(told)));
  }

  #add(waiting: Waiting): void {
    if (this.#isOver) return;
    const { bytes, isAlone } = waiting;
    if (!isAlone && bytes > 0 && this.#bytes + bytes > this.#options.maxBytes) {
      this.#miss();
      return;
    }
    this.#waiting.push(waiting);
    if (isAlone) this.#alone += 1;
    else this.#bytes += bytes;
    this.#wake();
  }

  /** One more, and told once for all that are missing in one place. */
  #miss(): void {
    this.#options.onMissed();
    const last = this.#waiting.at(-1)?.tidings;
    const before = last?.kind === 'missed' && last.missed.reason === 'slow' ? (last.missed.count ?? 0) : 0;
    if (before > 0) this.#waiting.pop();
    this.miss({ reason: 'slow', count: before + 1 });
  }

  #take(): readonly Tidings[] {
    const taken = this.#waiting.splice(0, BATCH);
    for (const { bytes, isAlone } of taken) {
      if (isAlone) this.#alone -= 1;
      else this.#bytes -= bytes;
    }
    if (this.#alone === 0) this.#makeRoom();
    return taken.map(({ tidings }) => tidings);
  }

  #makeRoom(): void {
    for (const resolve of this.#onRoom.splice(0)) resolve();
  }

  #quiet(): Tidings {
    const { positions } = this.#options;
    const place: Place = this.#stand ? this.#stand.place(positions) : pointsOf(positions);
    return { kind: 'quiet', place: placeText(place) };
  }

  /** False when nothing has come for so long that the watcher is to be told. */
  async #somethingComes(): Promise<boolean> {
    const { promise, resolve } = Promise.withResolvers<boolean>();
    const timer = setTimeout(() => resolve(false), this.#options.quietMs);
    this.#wake = () => resolve(true);
    return promise.finally(() => clearTimeout(timer));
  }
}
