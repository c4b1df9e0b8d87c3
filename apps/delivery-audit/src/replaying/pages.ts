import type { ReplayCommand, ReplayState } from '@posthorn/domain';
import { isDatabaseAway } from '@posthorn/event-store';
import type { ClientBase } from 'pg';
import { ask } from '../asking/ask.js';
import { BEGIN, queryable } from '../asking/transactions.js';
import type { Loaded } from './loaded.js';
import type { Look, Looking } from './looking.js';
import { Pace } from './pace.js';
import { countsOf, REPLAY_COLUMNS, type ReplayRow } from './replay-row.js';

/** What ends a replay from within. */
export type Conclusion = Extract<ReplayCommand, { kind: 'finish' | 'fail' }>;

export type PagesParts = {
  readonly looking: Looking;
  readonly loaded: Pick<Loaded, 'isLoadedFor' | 'forget'>;
  readonly conclude: (tenant: string, id: string, conclusion: Conclusion) => Promise<void>;
  readonly log: { warn(fields: object, message: string): void };
  /** Wall clock. */
  readonly now: () => Date;
  /** Of a clock that is never set back. */
  readonly nowMs: () => number;
};

/** A page was made; or none can be for so many milliseconds, unless somebody asks for something. */
export type Made = { readonly kind: 'made' } | { readonly kind: 'rest'; readonly ms: number };

/** Deliveries of a page, and rows that are looked at for it. */
const PAGE = 1_000;
/** Of one that is kept to a rate: for a few deliveries not many times as many are looked at in vain. */
const LEAST_ROWS = 50;
const LOADING_LOOK_MS = 100;
const AFTER_TROUBLE_MS = 5_000;
const NOTHING_MS = 60_000;

const NEXT = `
  select id, tenant, state, worked_at is not null as has_begun from replays.replays
   where status = 'running' and finished_at is null and id <> all($1) order by worked_at nulls first, id limit 1`;
const LOCK = `select ${REPLAY_COLUMNS} from replays.replays where id = $1 and status = 'running' for update`;
const MOVE = `
  update replays.replays set worked_at = $2, reached_at = $3, reached_id = $4,
    matched = matched + $5, done = done + $6, skipped = skipped + $7, filtered = filtered + $8, disabled = disabled + $9, expired = expired + $10
   where id = $1`;

type Running = { readonly id: string; readonly tenant: string; readonly state: ReplayState; readonly has_begun: boolean };

/**
 * Makes replays go on, a page at a time, in turn: looks at what comes next, asks for what may be sent, moves the cursor, counts; all in one transaction. So whatever dies, the page is made
 * or it is not, and the next leader goes on behind it. Whoever pauses or cancels waits for the page that is being made, and no other follows.
 */
export class Pages {
  readonly #parts: PagesParts;
  /** Of those with a rate, since this process makes their pages. */
  readonly #paces = new Map<string, Pace>();
  /** Until when those that cannot go on are left alone. */
  readonly #resting = new Map<string, number>();

  constructor(parts: PagesParts) {
    this.#parts = parts;
  }

  /** @param client of the leader: what is committed there is committed by no other */
  async makeNext(client: ClientBase): Promise<Made> {
    const nowMs = this.#parts.nowMs();
    for (const [id, untilMs] of this.#resting) if (untilMs <= nowMs) this.#resting.delete(id);
    const [next] = await queryable(client).query<Running>(NEXT, [[...this.#resting.keys()]]);
    if (next === undefined) return { kind: 'rest', ms: Math.min(NOTHING_MS, ...[...this.#resting.values()].map((untilMs) => Math.max(0, untilMs - nowMs))) };
    try {
      const restMs = await this.#goOn(client, next);
      if (restMs !== undefined) this.#resting.set(next.id, nowMs + restMs);
    } catch (err) {
      if (isDatabaseAway(err)) throw err;
      // One that cannot be looked at must not hold up the others.
      this.#parts.log.warn({ err, replay: next.id }, 'a replay could not go on; trying again');
      await client.query('rollback');
      this.#resting.set(next.id, nowMs + AFTER_TROUBLE_MS);
    }
    return { kind: 'made' };
  }

  /** Makes a page of it; or answers for how long it is to be left alone. */
  async #goOn(client: ClientBase, { id, tenant, state, has_begun }: Running): Promise<number | undefined> {
    // Of one that has, everything that was there when it was asked for is in the tables, whoever makes its pages now.
    if (!has_begun && !(await this.#parts.loaded.isLoadedFor(id))) return LOADING_LOOK_MS;
    const pace = this.#paceOf(id, state.wish.rate);
    const allowance = pace?.allowance(this.#parts.nowMs()) ?? PAGE;
    if (allowance === 0) return pace?.waitMs(this.#parts.nowMs());
    const { asked, conclusion } = await this.#makePage(client, id, Math.min(PAGE, allowance));
    pace?.take(asked);
    if (conclusion === undefined) return undefined;
    await this.#parts.conclude(tenant, id, conclusion);
    this.#forget(id);
    return undefined;
  }

  async #makePage(client: ClientBase, id: string, most: number): Promise<{ readonly asked: number; readonly conclusion?: Conclusion }> {
    const { looking, now } = this.#parts;
    await client.query(BEGIN);
    const [row] = await queryable(client).query<ReplayRow>(LOCK, [id]);
    // Paused or cancelled meanwhile.
    if (row === undefined) {
      await client.query('rollback');
      return { asked: 0 };
    }
    const { tenant, state, actor } = row;
    const at = now().toISOString();
    const reached = { at: row.reached_at.toISOString(), id: row.reached_id };
    const look = await looking.look(queryable(client), tenant, state.wish, reached, { candidates: most, rows: Math.min(PAGE, Math.max(LEAST_ROWS, 2 * most)) });
    if (look.kind === 'blocked') {
      await client.query('rollback');
      return { asked: 0, conclusion: { kind: 'fail', failure: look.failure, at } };
    }
    const asked = await ask(client, look.candidates, { tenant, trigger: 'replay', at, actor, replayId: id, force: state.wish.force });
    await move(client, id, at, look, asked);
    await client.query('commit');
    if (!look.isEnd) return { asked };
    return { asked, conclusion: { kind: 'finish', counts: countsAfter(row, look, asked), at } };
  }

  #paceOf(id: string, rate: number | undefined): Pace | undefined {
    if (rate === undefined) return undefined;
    let pace = this.#paces.get(id);
    if (pace === undefined) {
      pace = new Pace(rate, this.#parts.nowMs());
      this.#paces.set(id, pace);
    }
    return pace;
  }

  #forget(id: string): void {
    this.#paces.delete(id);
    this.#parts.loaded.forget(id);
  }
}

const move = async (client: ClientBase, id: string, at: string, { counts, candidates, reached }: Look, asked: number): Promise<void> => {
  const { matched, filtered, disabled, expired } = counts;
  await client.query(MOVE, [id, at, reached.at, reached.id, matched, asked, candidates.length - asked, filtered, disabled, expired]);
};

const countsAfter = (row: ReplayRow, { counts, candidates }: Look, asked: number) => {
  const before = countsOf(row);
  return {
    matched: before.matched + counts.matched,
    done: before.done + asked,
    skipped: before.skipped + candidates.length - asked,
    filtered: before.filtered + counts.filtered,
    disabled: before.disabled + counts.disabled,
    expired: before.expired + counts.expired,
  };
};
