import { newId, replayLimits, TENANT_ID, type CreatedReplay, type Page, type ReplayBody, type ReplaysQuery, type ReplayView, type WholeReplay } from '@posthorn/contracts';
import { CommandRefused, fold, replay, type Replay, type ReplayCommand, type ReplayEvent, type ReplayWish } from '@posthorn/domain';
import { storable, type EventStore, type RecordedEvent } from '@posthorn/event-store';
import { decodePageToken, encodePageToken, Problem } from '@posthorn/service-kit';
import type { ClientBase, Pool } from 'pg';
import { z } from 'zod';
import type { Answered, Remember, RememberedAnswers, Requested } from '../asking/answers.js';
import { asking, queryable } from '../asking/transactions.js';
import { findSubscriptions, untilRegistryIsRead, type RegistryState } from '../registry/subscriptions.js';
import { dryRunOf } from './dry-run.js';
import type { Looking } from './looking.js';
import { REPLAY_COLUMNS, replayViewOf, type ReplayRow } from './replay-row.js';
import { beginningOf } from './selection.js';

export type ReplaysParts = {
  readonly pool: Pool;
  readonly store: EventStore;
  readonly answers: RememberedAnswers;
  readonly registry: RegistryState;
  readonly looking: Looking;
};

/** What somebody may ask of a replay that there is. */
export type ReplayRequest = 'pause' | 'resume' | 'cancel';

/** Whoever loses so many races in a row gives up; each loss is somebody else's success. */
const ATTEMPTS = 25;
/** Of a replay's changes that are told. */
const MOST_TOLD = 100;

const streamOf = (id: string): string => `replay/${storable(id)}`;
const stateOf = (history: readonly RecordedEvent[]): Replay => fold(replay, history as readonly (RecordedEvent & ReplayEvent)[]); // as they were appended

const utc = (time: string): string => new Date(time).toISOString();

/** What is accepted from now on is no part of it. */
const wishOf = (body: ReplayBody, now: string): ReplayWish => {
  const { from, to, dry_run: _, ...rest } = body;
  return { ...rest, from: utc(from), to: utc(to) < now ? utc(to) : now };
};

const invalid = (path: string, message: string): Problem => new Problem('invalid', `${path}: ${message}`, { errors: [{ path, message }] });

const unknownReplay = (): never => {
  throw new Problem('not_found', 'no replay of this tenant has this id');
};

/** @throws {Problem} for what the rules refuse */
const decided = (command: ReplayCommand, state: Replay): readonly ReplayEvent[] => {
  try {
    return replay.decide(command, state);
  } catch (error) {
    if (!(error instanceof CommandRefused)) throw error;
    throw error.path === undefined ? new Problem(error.code, error.message, { cause: error }) : invalid(error.path, error.message);
  }
};

/** Replays as they are asked for, shown, and stopped. What makes them go on is `pages.ts`. */
export class Replays {
  constructor(private readonly parts: ReplaysParts) {}

  /** @throws {Problem} */
  request(tenant: string, body: ReplayBody, requested: Requested): Promise<Answered<CreatedReplay>> {
    const { pool, answers, looking } = this.parts;
    return asking(
      answers.once<CreatedReplay>(requested, async (remember) => {
        if (!TENANT_ID.test(tenant)) throw new Problem('not_found', 'There is no such tenant.');
        const at = new Date().toISOString();
        const wish = wishOf(body, at);
        await this.#refuseTarget(tenant, wish);
        if (body.dry_run) return dryRunOf(queryable(pool), looking, tenant, wish);
        const id = newId('rpl');
        const events = decided({ kind: 'request', id, tenant, wish, at }, replay.initialState);
        return this.#append(id, [], events, requested.actor, remember);
      }),
    );
  }

  /** @throws {Problem} `conflict` when it has ended otherwise */
  change(tenant: string, id: string, kind: ReplayRequest, requested: Requested): Promise<Answered<ReplayView>> {
    const { pool, answers } = this.parts;
    return asking(
      answers.once(requested, async (remember) => {
        const changed = await this.#carryOut(tenant, id, { kind, at: new Date().toISOString() }, requested.actor, remember);
        if (changed) return changed;
        const view = await this.#read(tenant, id);
        await remember(pool, view);
        return view;
      }),
    );
  }

  /** What the page-maker finds: that there is no more, or that it cannot go on. */
  async conclude(tenant: string, id: string, command: Extract<ReplayCommand, { kind: 'finish' | 'fail' }>, actor: string): Promise<void> {
    await this.#carryOut(tenant, id, command, actor, () => Promise.resolve());
  }

  async get(tenant: string, id: string): Promise<WholeReplay> {
    const view = await asking(this.#read(tenant, id));
    const history = await asking(this.parts.store.read(streamOf(id)));
    return { ...view, history: history.slice(-MOST_TOLD).map(({ type, at, actor }) => ({ type, at, actor })) };
  }

  /** Newest first. */
  async list(tenant: string, { page_size, page_token, status }: ReplaysQuery): Promise<Page<ReplayView>> {
    const before = page_token === undefined ? null : decodePageToken(z.string(), page_token);
    const rows = await asking(
      queryable(this.parts.pool).query<ReplayRow>(
        `select ${REPLAY_COLUMNS} from replays.replays
          where tenant = $1 and ($2::text is null or id < $2) and ($3::text is null or status = $3) order by id desc limit $4`,
        [storable(tenant), before === null ? null : storable(before), status ?? null, page_size + 1],
      ),
    );
    const data = rows.slice(0, page_size).map(replayViewOf);
    const last = data.at(-1);
    return rows.length <= page_size || last === undefined ? { data } : { data, next_page_token: encodePageToken(last.id) };
  }

  /** @throws {Problem} */
  async #refuseTarget(tenant: string, { to_subscription }: ReplayWish): Promise<void> {
    if (to_subscription === undefined) return;
    const database = queryable(this.parts.pool);
    await untilRegistryIsRead(database, this.parts.registry);
    const target = (await findSubscriptions(database, [to_subscription])).get(to_subscription);
    if (target?.tenant !== tenant) throw invalid('to_subscription', 'no subscription of this tenant has this id');
    if (!target.enabled) throw new Problem('conflict', 'to_subscription is disabled. Enable it first.');
  }

  /** Undefined when the command changes nothing. */
  async #carryOut(tenant: string, id: string, command: ReplayCommand, actor: string, remember: Remember<ReplayView>): Promise<ReplayView | undefined> {
    for (let attempt = 1; attempt <= ATTEMPTS; attempt++) {
      const history = await this.parts.store.read(streamOf(id));
      const state = stateOf(history);
      if (state.kind !== 'replay' || state.tenant !== tenant) return unknownReplay();
      const events = decided(command, state);
      if (events.length === 0) return undefined;
      const view = await this.#append(id, history, events, actor, remember).catch((error: unknown) => {
        if (error instanceof Overtaken) return undefined;
        throw error;
      });
      if (view) return view;
    }
    throw new Problem('conflict', `Others change ${id} all the time; try again.`);
  }

  /** @throws {Overtaken} */
  async #append(
    id: string,
    history: readonly RecordedEvent[],
    events: readonly ReplayEvent[],
    actor: string,
    remember: Remember<ReplayView>,
  ): Promise<ReplayView> {
    const version = history.length + events.length;
    const state = fold(replay, events, stateOf(history));
    if (state.kind !== 'replay') throw new TypeError('a replay never leaves');
    let view: ReplayView | undefined;
    const result = await this.parts.store.append([{ stream: streamOf(id), expectedVersion: history.length, events }], { actor }, async (client) => {
      if (history.length === 0) await refuseMany(client, state.tenant);
      const { at, id: place } = beginningOf(state.wish);
      const { rows } = await client.query<ReplayRow>(
        `insert into replays.replays (id, version, tenant, status, state, actor, finished_at, reached_at, reached_id) values ($1, $2, $3, $4, $5, $6, $7, $8, $9)
         on conflict (id) do update set version = excluded.version, status = excluded.status, state = excluded.state, finished_at = excluded.finished_at
         returning ${REPLAY_COLUMNS}`,
        [id, version, state.tenant, state.status, JSON.stringify(state), actor, state.finished_at ?? null, at, place],
      );
      view = rows.map(replayViewOf)[0];
      if (view) await remember(client, view);
    });
    if (result.kind === 'version_mismatch' || view === undefined) throw new Overtaken();
    return view;
  }

  /** @throws {Problem} `not_found` */
  async #read(tenant: string, id: string): Promise<ReplayView> {
    const [row] = await queryable(this.parts.pool).query<ReplayRow>(`select ${REPLAY_COLUMNS} from replays.replays where id = $1 and tenant = $2`, [storable(id), storable(tenant)]);
    return row === undefined ? unknownReplay() : replayViewOf(row);
  }
}

/** Somebody else was faster. */
class Overtaken extends Error {
  override readonly name = 'Overtaken';
}

/** Appends come one after the other: nobody begins another one while we count. @throws {Problem} */
const refuseMany = async (client: ClientBase, tenant: string): Promise<void> => {
  const { rows } = await client.query<{ open: number }>(
    `select count(*)::integer as open from replays.replays where tenant = $1 and status in ('running', 'paused') and finished_at is null`,
    [tenant],
  );
  if ((rows[0]?.open ?? 0) < replayLimits.open) return;
  throw new Problem('conflict', `This tenant has ${replayLimits.open} replays that have not ended, which is the most. Wait for one, or cancel one.`);
};
