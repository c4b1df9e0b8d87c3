import type { DeliveryStatus } from '@posthorn/contracts';
import { CommandRefused, type Decider, type Fact } from '../decider.js';
import { existing, expectUnused, unknownEvent, type NotThere } from '../lifetime.js';

/** What is to be sent again, of what was accepted from `from` on and before `to`; what is absent does not narrow it. */
export type ReplayWish = {
  /** RFC 3339 in UTC with milliseconds. */
  readonly from: string;
  readonly to: string;
  /** Patterns, as a subscription has them. */
  readonly event_types?: readonly string[] | undefined;
  /** Of the deliveries, when their turn comes. */
  readonly statuses?: readonly DeliveryStatus[] | undefined;
  readonly subscription?: string | undefined;
  /** Each event once to this one, instead of each delivery to its own. */
  readonly to_subscription?: string | undefined;
  /** Deliveries asked for in a second, at most; absent means as many as go through. */
  readonly rate?: number | undefined;
  /** Also those that are under way. */
  readonly force: boolean;
};

/** What became of what was looked at. */
export type ReplayCounts = {
  /** Deliveries, or events, that the wish is about: the sum of the others. */
  readonly matched: number;
  /** Asked for. */
  readonly done: number;
  /** Were under way. */
  readonly skipped: number;
  /** With `to_subscription`: it does not ask for such events, by their type or its filter. */
  readonly filtered: number;
  /** Their subscription is disabled or deleted. */
  readonly disabled: number;
  /** Their event is no longer kept. */
  readonly expired: number;
};

export const NOTHING_REPLAYED: ReplayCounts = { matched: 0, done: 0, skipped: 0, filtered: 0, disabled: 0, expired: 0 };

/** `running` and `paused` turn into each other; the other three are ends. */
export type ReplayStatus = 'running' | 'paused' | 'done' | 'cancelled' | 'failed';

/** Why a replay cannot be brought to its end; a closed list. */
export type ReplayFailure = 'subscription_disabled' | 'subscription_deleted';

export type ReplayState = {
  readonly kind: 'replay';
  readonly id: string;
  readonly tenant: string;
  readonly wish: ReplayWish;
  readonly status: ReplayStatus;
  /** With `failed`. */
  readonly failure?: ReplayFailure;
  readonly created_at: string;
  readonly updated_at: string;
  readonly finished_at?: string;
};

export type Replay = NotThere | ReplayState;

export type ReplayCommand =
  | { readonly kind: 'request'; readonly id: string; readonly tenant: string; readonly wish: ReplayWish; readonly at: string }
  | { readonly kind: 'pause'; readonly at: string }
  | { readonly kind: 'resume'; readonly at: string }
  | { readonly kind: 'cancel'; readonly at: string }
  /** Everything was looked at. */
  | { readonly kind: 'finish'; readonly counts: ReplayCounts; readonly at: string }
  | { readonly kind: 'fail'; readonly failure: ReplayFailure; readonly at: string };

type Nothing = Readonly<Record<string, never>>;

export type ReplayRequested = Fact<'ReplayRequested', { readonly id: string; readonly tenant: string; readonly wish: ReplayWish }>;
export type ReplayPaused = Fact<'ReplayPaused', Nothing>;
export type ReplayResumed = Fact<'ReplayResumed', Nothing>;
export type ReplayCancelled = Fact<'ReplayCancelled', Nothing>;
export type ReplayFinished = Fact<'ReplayFinished', { readonly counts: ReplayCounts }>;
export type ReplayFailed = Fact<'ReplayFailed', { readonly failure: ReplayFailure }>;

export type ReplayEvent = ReplayRequested | ReplayPaused | ReplayResumed | ReplayCancelled | ReplayFinished | ReplayFailed;

export const isOpen = ({ status }: Pick<ReplayState, 'status'>): boolean => status === 'running' || status === 'paused';

const request = ({ id, tenant, wish, at }: Extract<ReplayCommand, { kind: 'request' }>, state: Replay): readonly ReplayEvent[] => {
  expectUnused(state, `replay ${id}`);
  if (wish.from >= wish.to) throw new CommandRefused('invalid', 'must be after from', 'to');
  return [{ type: 'ReplayRequested', data: { id, tenant, wish }, at }];
};

/** What somebody asks of a replay that has ended otherwise is refused; asked for twice, it is so once. */
const asked = (state: ReplayState, turnsInto: ReplayStatus, event: ReplayEvent): readonly ReplayEvent[] => {
  if (state.status === turnsInto) return [];
  if (isOpen(state)) return [event];
  throw new CommandRefused('conflict', `The replay has ended: it is ${state.status}.`);
};

const decide = (command: ReplayCommand, state: Replay): readonly ReplayEvent[] => {
  if (command.kind === 'request') return request(command, state);
  const current = existing(state, 'replay');
  const { at } = command;
  switch (command.kind) {
    case 'pause':
      return asked(current, 'paused', { type: 'ReplayPaused', data: {}, at });
    case 'resume':
      return asked(current, 'running', { type: 'ReplayResumed', data: {}, at });
    case 'cancel':
      return asked(current, 'cancelled', { type: 'ReplayCancelled', data: {}, at });
    // Nobody is there to be refused: whoever was faster has decided, and a paused one comes to its end when it is resumed.
    case 'finish':
      return current.status === 'running' ? [{ type: 'ReplayFinished', data: { counts: command.counts }, at }] : [];
    case 'fail':
      return current.status === 'running' ? [{ type: 'ReplayFailed', data: { failure: command.failure }, at }] : [];
  }
};

const evolve = (state: Replay, event: ReplayEvent): Replay => {
  const { at } = event;
  if (event.type === 'ReplayRequested') return { kind: 'replay', ...event.data, status: 'running', created_at: at, updated_at: at };
  const current = { ...existing(state, 'replay'), updated_at: at };
  switch (event.type) {
    case 'ReplayPaused':
      return { ...current, status: 'paused' };
    case 'ReplayResumed':
      return { ...current, status: 'running' };
    case 'ReplayCancelled':
      return { ...current, status: 'cancelled', finished_at: at };
    case 'ReplayFinished':
      return { ...current, status: 'done', finished_at: at };
    case 'ReplayFailed':
      return { ...current, status: 'failed', failure: event.data.failure, finished_at: at };
    default:
      return unknownEvent(event, 'a replay');
  }
};

export const replay: Decider<ReplayCommand, Replay, ReplayEvent> = { initialState: { kind: 'absent' }, decide, evolve };
