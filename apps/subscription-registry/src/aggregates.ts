import { CommandRefused, fold, type Decider } from '@posthorn/domain';
import type { Appended, EventStore, NewEvent, Relay } from '@posthorn/event-store';
import { Problem } from '@posthorn/service-kit';
import type { ClientBase } from 'pg';
import { asking } from './database.js';
import type { Precondition } from './preconditions.js';
import { streamOf, type AggregateKind } from './streams.js';

/** An aggregate as it stands. */
export type Standing<State> = {
  readonly id: string;
  /** Of its stream: how many events it is folded from. */
  readonly version: number;
  /** Of its last event in the whole store. */
  readonly position: number;
  readonly state: State;
};

/** What makes a kind of aggregate: its rules, and how its row in the read model follows them. */
export type AggregateType<Command, State, Event extends NewEvent> = {
  readonly kind: AggregateKind;
  readonly decider: Decider<Command, State, Event>;
  readonly project: (client: ClientBase, standing: Standing<State>) => Promise<void>;
};

export type ChangeOptions<State> = {
  /** Id of the key, or the service, that asks. */
  readonly actor: string;
  /** Throws when the one who asks may not know of the aggregate as it stands. */
  readonly admit?: (state: State) => void;
  readonly precondition?: Precondition;
};

type ChangesLog = { warn(fields: object, message: string): void };

/** An unconditional change that loses this many races in a row gives up; each loss is somebody else's success. */
const ATTEMPTS = 25;
const RELAY_PATIENCE_MS = 5_000;

/** Loads, decides, appends, and answers when the outcome is in `registry.state`. */
export class Aggregates {
  readonly #store: EventStore;
  readonly #relay: Pick<Relay, 'waitUntilRelayed'>;
  readonly #log: ChangesLog;

  constructor(store: EventStore, relay: Pick<Relay, 'waitUntilRelayed'>, log: ChangesLog) {
    this.#store = store;
    this.#relay = relay;
    this.#log = log;
  }

  /**
   * Carries out a command; on a concurrent change again, on what is there then.
   * @throws {Problem} `version_mismatch` when the precondition does not hold; `not_found`, `already_exists` by the aggregate's rules
   */
  async change<Command, State, Event extends NewEvent>(
    type: AggregateType<Command, State, Event>,
    id: string,
    command: Command,
    options: ChangeOptions<State>,
  ): Promise<Standing<State>> {
    for (let attempt = 1; attempt <= ATTEMPTS; attempt++) {
      const changed = await asking(this.#attempt(type, id, command, options));
      if (changed === undefined) continue;
      if (!(await this.#relay.waitUntilRelayed(changed.position, RELAY_PATIENCE_MS))) {
        // Stored is stored; the client has the position and can tell the router to wait for it.
        const fields = { position: changed.position, waited_ms: RELAY_PATIENCE_MS };
        this.#log.warn(fields, 'a change is stored, but not in registry.state yet');
      }
      return changed;
    }
    throw new Problem('conflict', `Others change ${id} all the time; try again.`);
  }

  /** Undefined when somebody else was faster. */
  async #attempt<Command, State, Event extends NewEvent>(
    { kind, decider, project }: AggregateType<Command, State, Event>,
    id: string,
    command: Command,
    { actor, admit, precondition }: ChangeOptions<State>,
  ): Promise<Standing<State> | undefined> {
    const stream = streamOf(kind, id);
    const history = await this.#store.read(stream);
    const { version, position } = history.at(-1) ?? { version: 0, position: 0 };
    // Only this type's deciders ever wrote to the stream.
    const state = fold(decider, history as unknown as readonly Event[]);
    admit?.(state);
    if (precondition && !precondition(version)) {
      throw new Problem('version_mismatch', `${id} is at version ${version}.`);
    }
    const events = decided(decider, command, state);
    if (events.length === 0) return { id, version, position, state };
    const standing = ({ events: recorded }: Pick<Appended, 'events'>): Standing<State> => {
      const last = recorded.at(-1) ?? { version, position };
      return { id, version: last.version, position: last.position, state: fold(decider, events, state) };
    };
    const result = await this.#store.append({ stream, expectedVersion: version, events, actor }, (client, recorded) =>
      project(client, standing({ events: recorded })),
    );
    return result.kind === 'appended' ? standing(result) : undefined;
  }
}

const decided = <Command, State, Event>(
  { decide }: Decider<Command, State, Event>,
  command: Command,
  state: State,
): readonly Event[] => {
  try {
    return decide(command, state);
  } catch (error) {
    if (error instanceof CommandRefused) throw new Problem(error.code, error.message, { cause: error });
    throw error;
  }
};
