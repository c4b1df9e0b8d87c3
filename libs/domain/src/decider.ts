/**
 * An aggregate: what it decides, how it changes, how it begins. All pure; ids, clock readings and encrypted secrets arrive in the
 * command, so that the same history and the same command give the same events for ever.
 */
export type Decider<Command, State, Event> = {
  readonly initialState: State;
  /** The events that follow; none when the command changes nothing. @throws {CommandRefused} */
  readonly decide: (command: Command, state: State) => readonly Event[];
  readonly evolve: (state: State, event: Event) => State;
};

/** The state after these events. */
export const fold = <State, Event>(
  { evolve, initialState }: Pick<Decider<never, State, Event>, 'evolve' | 'initialState'>,
  events: readonly Event[],
  from: State = initialState,
): State => events.reduce(evolve, from);

/** A fact about one of our aggregates, as `decide` states it. `at` is RFC 3339 in UTC with milliseconds. */
export type Fact<Type extends string, Data> = { readonly type: Type; readonly data: Data; readonly at: string };

/** A closed list; each is a problem code of the API. */
export type RefusalCode = 'already_exists' | 'not_found' | 'conflict' | 'invalid';

/** The aggregate is not in a state that allows the command. */
export class CommandRefused extends Error {
  override readonly name = 'CommandRefused';

  constructor(
    readonly code: RefusalCode,
    message: string,
    /** With `invalid`: the member of the resulting state that is wrong, as in `policy.spread`. */
    readonly path?: string,
  ) {
    super(message);
  }
}
