import { CommandRefused, fold, type Decider } from '@posthorn/domain';
import type { EventStore, NewEvent, RecordedEvent, Relay, StreamAppend } from '@posthorn/event-store';
import { Problem } from '@posthorn/service-kit';
import type { ClientBase } from 'pg';
import { asking } from './database.js';
import { KeyTaken, type RememberedAnswers } from './idempotency/remembered-answers.js';
import type { Precondition } from './preconditions.js';
import { writeRows, type ReadModel, type Standing } from './read-model.js';
import { refuseUnreadable } from './readable-state.js';
import type { Requested } from './requested.js';
import { streamOf } from './streams.js';
import { TurnsByName } from './turns.js';
import type { Written } from './written.js';

/** What makes a kind of aggregate: its rules, and how its row in the read model follows from them. */
export type AggregateType<Command, State, Event extends NewEvent> = Omit<ReadModel<State>, 'decider'> & {
  readonly decider: Decider<Command, State, Event>;
};

/** The command for the state there is; undefined when there is nothing to be done. Asked again after each race that was lost. */
export type CommandFor<Command, State> = (state: State) => Command | undefined;

export type ChangeOptions<State> = {
  /** Throws when the one who asks may not know of the aggregate as it stands. */
  readonly admit?: ((state: State) => void) | undefined;
  readonly precondition?: Precondition;
  /** The id has just been drawn: there is no history to read. */
  readonly fresh?: boolean | undefined;
};

/** What is to become of one aggregate. */
export type Change<State> = {
  readonly id: string;
  readonly readModel: ReadModel<State>;
  readonly fresh: boolean;
  /** The events that follow when it stands like this; a method, so that changes of different kinds can stand in one list. */
  decide(state: State, version: number): readonly NewEvent[];
};

/** A change to be made together with others, by `changeMany`. */
export const changeOf = <Command, State, Event extends NewEvent>(
  type: AggregateType<Command, State, Event>,
  id: string,
  command: CommandFor<Command, State>,
  { admit, precondition, fresh = false }: ChangeOptions<State> = {},
): Change<State> => ({
  id,
  readModel: type,
  fresh,
  decide: (state, version) => {
    admit?.(state);
    if (precondition && !precondition(version)) {
      throw new Problem('version_mismatch', `${id} is at version ${version}.`, { currentVersion: version });
    }
    const wanted = command(state);
    return wanted === undefined ? [] : decided(type.decider, wanted, state);
  },
});

export type WriteOptions<Outcome, Body> = {
  /** What the one who asked is told; remembered with it when the request is to have its effect once. */
  readonly answer: (outcome: Outcome) => Body;
  /** Looks, inside the transaction, at what no stream's version tells (that the tenant still exists, say); throws to undo it all. */
  readonly guard?: ((client: ClientBase) => Promise<void>) | undefined;
};

type ChangesLog = { warn(fields: object, message: string): void };

export type AggregatesParts = {
  readonly store: EventStore;
  readonly relay: Pick<Relay, 'waitUntilRelayed'>;
  readonly answers: RememberedAnswers;
  readonly log: ChangesLog;
};

/** A change that has been decided: what is appended, and what the aggregate is after it. */
type Decision<State> = StreamAppend & {
  readonly change: Change<State>;
  /** Of its last event so far; 0 before the first. */
  readonly position: number;
  readonly state: State;
};

/** An unconditional change that loses this many races in a row gives up; each loss is somebody else's success. */
const ATTEMPTS = 25;
const RELAY_PATIENCE_MS = 5_000;

/** Loads, decides, appends, and answers when the outcome is in `registry.state`. */
export class Aggregates {
  readonly #parts: AggregatesParts;
  /** Who changes one and the same aggregate in this process comes after the other, instead of racing: races are lost to other replicas only. */
  readonly #turns = new TurnsByName();

  constructor(parts: AggregatesParts) {
    this.#parts = parts;
  }

  /**
   * Carries out a command; on a concurrent change again, on what is there then.
   * @throws {Problem} `version_mismatch` when the precondition of the request does not hold; `not_found`, `already_exists` by the
   * aggregate's rules; `idempotency_conflict`
   */
  change<Command, State, Event extends NewEvent, Body>(
    type: AggregateType<Command, State, Event>,
    id: string,
    command: CommandFor<Command, State>,
    requested: Requested,
    { admit, fresh, guard, answer }: Omit<ChangeOptions<State>, 'precondition'> & WriteOptions<Standing<State>, Body>,
  ): Promise<Written<Body>> {
    const change = changeOf(type, id, command, { admit, fresh, precondition: requested.precondition });
    const answerOne = (standings: readonly Standing<State>[]): Body => {
      const [standing] = standings;
      if (!standing) throw new TypeError('a change without an aggregate');
      return answer(standing);
    };
    return this.changeMany([change], requested, { guard, answer: answerOne });
  }

  /**
   * Makes all of these changes or none, each aggregate once. None at all is fine too: then there is only an answer.
   * The version of the outcome is that of a single change.
   * @throws {Problem} as `change`, of the first that is refused
   */
  async changeMany<State, Body>(
    changes: readonly Change<State>[],
    requested: Requested,
    options: WriteOptions<readonly Standing<State>[], Body>,
  ): Promise<Written<Body>> {
    const [only, ...others] = changes;
    const make = () => this.#make(changes, requested, options);
    const alone = only !== undefined && others.length === 0 && !only.fresh;
    const written = await (alone ? this.#turns.take(streamOf(only.readModel.kind, only.id), make) : make());
    await this.#waitForRelay(written.position, requested.deadlineMs);
    return written;
  }

  async #make<State, Body>(
    changes: readonly Change<State>[],
    requested: Requested,
    options: WriteOptions<readonly Standing<State>[], Body>,
  ): Promise<Written<Body>> {
    for (let attempt = 1; attempt <= ATTEMPTS; attempt++) {
      const written = await asking(this.#attempt(changes, requested, options));
      if (written !== undefined) return written;
    }
    throw new Problem('conflict', `Others change ${changes[0]?.id ?? 'this'} all the time; try again.`);
  }

  /** Undefined when somebody else was faster, with one of the streams or with the same idempotency key. */
  async #attempt<State, Body>(
    changes: readonly Change<State>[],
    { by, idempotency, signal }: Requested,
    { answer, guard }: WriteOptions<readonly Standing<State>[], Body>,
  ): Promise<Written<Body> | undefined> {
    const { answers, store } = this.#parts;
    // What was remembered under this key for this request was made by the same `answer`.
    const told = idempotency && ((await answers.find(by.actor, idempotency)) as Written<Body> | undefined);
    if (told) return { ...told, replayed: true };
    const decisions = await this.#decide(changes);
    signal?.throwIfAborted();
    const conclude = async (client: ClientBase | undefined, standings: readonly Standing<State>[]): Promise<Written<Body>> => {
      const written = writtenOf(standings, answer);
      if (idempotency) await answers.remember(client, by.actor, idempotency, written);
      return written;
    };
    try {
      if (decisions.every(({ events }) => events.length === 0)) return await conclude(undefined, standingsAfter(decisions, []));
      let written: Written<Body> | undefined;
      await store.append(decisions, by, async (client, events) => {
        await guard?.(client);
        const standings = standingsAfter(decisions, events);
        written = await conclude(client, standings);
        await project(client, decisions, standings);
      });
      return written;
    } catch (error) {
      if (error instanceof KeyTaken) return undefined;
      throw error;
    }
  }

  async #decide<State>(changes: readonly Change<State>[]): Promise<readonly Decision<State>[]> {
    const streams = changes.filter(({ fresh }) => !fresh).map(({ id, readModel }) => streamOf(readModel.kind, id));
    const histories = streams.length === 0 ? new Map<string, readonly RecordedEvent[]>() : await this.#parts.store.readMany(streams);
    return changes.map((change) => {
      const { decider, kind } = change.readModel;
      const stream = streamOf(kind, change.id);
      const history = histories.get(stream) ?? [];
      const { version, position } = history.at(-1) ?? { version: 0, position: 0 };
      const before = fold(decider, history);
      const events = change.decide(before, version);
      const state = fold(decider, events, before);
      if (events.length > 0) refuseUnreadable(state);
      return { change, stream, expectedVersion: version, events, position, state };
    });
  }

  async #waitForRelay(position: number, deadlineMs = Number.POSITIVE_INFINITY): Promise<void> {
    const patienceMs = Math.max(0, Math.min(RELAY_PATIENCE_MS, deadlineMs - Date.now()));
    if (await this.#parts.relay.waitUntilRelayed(position, patienceMs)) return;
    // Stored is stored; the client has the position and can tell the router to wait for it.
    this.#parts.log.warn({ position, waited_ms: patienceMs }, 'a change is stored, but not in registry.state yet');
  }
}

const standingsAfter = <State>(
  decisions: readonly Decision<State>[],
  recorded: readonly RecordedEvent[],
): readonly Standing<State>[] => {
  const positions = new Map(recorded.map(({ stream, position }) => [stream, position]));
  return decisions.map(({ change: { id }, stream, expectedVersion, events, position, state }) => ({
    id,
    version: expectedVersion + events.length,
    position: positions.get(stream) ?? position,
    state,
  }));
};

const writtenOf = <State, Body>(
  standings: readonly Standing<State>[],
  answer: (standings: readonly Standing<State>[]) => Body,
): Written<Body> => {
  const [only, ...others] = standings;
  return {
    body: answer(standings),
    ...(only && others.length === 0 && { version: only.version }),
    position: standings.reduce((highest, { position }) => Math.max(highest, position), 0),
  };
};

/** The rows of what has changed, one statement for each kind. */
const project = async <State>(
  client: ClientBase,
  decisions: readonly Decision<State>[],
  standings: readonly Standing<State>[],
): Promise<void> => {
  const changed = new Map<ReadModel<State>, Standing<State>[]>();
  for (const [index, { change, events }] of decisions.entries()) {
    const standing = standings[index];
    if (events.length === 0 || !standing) continue;
    const rows = changed.get(change.readModel);
    if (rows) rows.push(standing);
    else changed.set(change.readModel, [standing]);
  }
  for (const [readModel, rows] of changed) await writeRows(client, readModel, rows);
};

/** A refusal in the words of the API, at the member that it names. */
const problemOf = (refused: CommandRefused): Problem => {
  const { code, message, path } = refused;
  if (path === undefined) return new Problem(code, message, { cause: refused });
  return new Problem(code, `${path}: ${message}`, { cause: refused, errors: [{ path, message }] });
};

const decided = <Command, State, Event>(
  { decide }: Decider<Command, State, Event>,
  command: Command,
  state: State,
): readonly Event[] => {
  try {
    return decide(command, state);
  } catch (error) {
    if (error instanceof CommandRefused) throw problemOf(error);
    throw error;
  }
};
