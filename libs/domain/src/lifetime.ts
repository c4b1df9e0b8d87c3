import { CommandRefused } from './decider.js';

/** There is nothing yet, or nothing any more. Every aggregate begins as `absent`; from `deleted` none returns but an event type. */
export type NotThere = { readonly kind: 'absent' } | { readonly kind: 'deleted' };

/** An id names one aggregate for ever: what once was deleted cannot be mistaken for what is made later. @throws {CommandRefused} */
export const expectUnused = (state: { readonly kind: string }, name: string): void => {
  if (state.kind === 'absent') return;
  const why = state.kind === 'deleted' ? 'was deleted, and ids are not used again' : 'exists already';
  throw new CommandRefused('already_exists', `${name} ${why}`);
};

const isThere = <State extends { readonly kind: string }>(state: State | NotThere): state is State =>
  state.kind !== 'absent' && state.kind !== 'deleted';

/** @throws {CommandRefused} `not_found` */
export const existing = <State extends { readonly kind: string }>(state: State | NotThere, name: string): State => {
  if (isThere(state)) return state;
  throw new CommandRefused('not_found', `no such ${name}`);
};

/** Written by a later version of the registry. To skip it would be to answer with a wrong state. */
export const unknownEvent = (event: never, name: string): never => {
  throw new TypeError(`unknown event ${JSON.stringify((event as { type?: unknown }).type)} of ${name}`);
};
