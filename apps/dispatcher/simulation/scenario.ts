import { partitionFor } from '@posthorn/domain';
import { Chance, type Draw } from './chance.js';

/** How a subscriber answers, for a while. Times are milliseconds since the beginning of the history. */
export type Behaviour = {
  readonly untilMs: number;
  readonly kind: 'fast' | 'slow' | 'flapping' | 'dead' | 'refusing' | 'throttling' | 'hanging' | 'gone';
  /** Of an answer, at most. */
  readonly latencyMs: number;
  /** With 429 or 503; as seconds or as a date. */
  readonly retryAfterMs?: number;
};

/** What its owner does with a subscription. */
export type Change = { readonly atMs: number; readonly kind: 'disable' | 'enable' | 'delete' | 'reconfigure' };

export type SubscriptionPlan = {
  readonly id: string;
  readonly maxConcurrency: number;
  readonly rate?: { readonly per_second: number; readonly burst: number };
  readonly ordering: 'none' | 'by_key';
  readonly spread: number;
  readonly timeoutMs: number;
  /** Absent: the default, over three days. */
  readonly scheduleMs?: readonly number[];
  /** In order; the last one holds to the end. */
  readonly behaviours: readonly Behaviour[];
  readonly changes: readonly Change[];
};

export type EventPlan = {
  readonly atMs: number;
  readonly id: string;
  readonly subscriptions: readonly string[];
  readonly key?: string;
  readonly bytes: number;
  /** The router dies after having written it, and writes it again. */
  readonly isRepeated?: true;
};

/** What a user asks of a delivery; refused where that is not possible then. */
export type UserPlan = {
  readonly atMs: number;
  readonly kind: 'cancel' | 'redeliver';
  readonly event: string;
  readonly subscription: string;
  /** Also while the round before is under way. */
  readonly isForced?: true;
  /** Who writes the request dies after having written it, and writes it again. */
  readonly isRepeated?: true;
};

export type ProcessPlan = { readonly name: string; readonly roles: readonly ('sender' | 'delay')[]; readonly startMs: number };

/** When a fault comes: at a time, or right behind the n-th thing of a kind that the process does, before it hears of it. */
export type Moment = { readonly atMs: number } | { readonly after: 'append' | 'commit' | 'request' | 'answer' | 'parking'; readonly count: number };

export type Fault =
  | { readonly kind: 'crash'; readonly process: string; readonly moment: Moment; readonly downMs: number }
  /** A new version is rolled out: drained and started again. */
  | { readonly kind: 'restart'; readonly process: string; readonly moment: Moment; readonly downMs: number }
  | { readonly kind: 'stall'; readonly process: string; readonly moment: Moment; readonly forMs: number }
  | { readonly kind: 'kafka'; readonly atMs: number; readonly forMs: number; readonly isDown?: true; readonly slowness?: number; readonly lostAnswers?: number; readonly failures?: number }
  | { readonly kind: 'database'; readonly atMs: number; readonly forMs: number };

/** Everything that makes a history, but for the dice. Plain data, so that it can be printed, and made smaller. */
export type Scenario = {
  readonly seed: number;
  readonly partitions: number;
  readonly maxInFlight: number;
  /** Of a partition. */
  readonly windowBytes: number;
  /** Of a subscription, in the backlog. */
  readonly backlogLimit: number;
  readonly processes: readonly ProcessPlan[];
  readonly subscriptions: readonly SubscriptionPlan[];
  readonly events: readonly EventPlan[];
  readonly users: readonly UserPlan[];
  readonly faults: readonly Fault[];
};

const S = 1_000;
const M = 60 * S;

/** A history of its own for every seed: small, and of very different shapes. */
export const scenarioOf = (seed: number): Scenario => {
  const draw = new Chance(seed).stream('scenario');
  const activeMs = draw.magnitude(5 * S, 10 * M);
  const subscriptions = Array.from({ length: draw.whole(1, 6) }, (_, n) => subscriptionPlan(draw, `sub_${n}`, activeMs));
  const processes = processPlans(draw);
  const drawUsers = new Chance(seed).stream('users');
  const settings = {
    seed,
    partitions: draw.whole(1, 4),
    maxInFlight: draw.pick(4, 8, 16, 64, 1_000),
    windowBytes: windowBytes(draw),
    backlogLimit: draw.isOnce(0.1) ? draw.whole(2, 8) : 100_000,
    processes,
    subscriptions,
    events: eventPlans(draw, subscriptions, activeMs),
    faults: draw.isOnce(0.25) ? [] : faultPlans(draw, processes, activeMs),
  };
  return { ...settings, users: drawUsers.isOnce(0.5) ? userPlans(drawUsers, settings.events) : [] };
};

/** Sometimes so little that a lane among many has no room. */
const windowBytes = (draw: Draw): number => 8 * Math.round(draw.isOnce(0.2) ? draw.magnitude(1_000, 10_000) : draw.magnitude(10_000, 100_000));

const subscriptionPlan = (draw: Draw, id: string, activeMs: number): SubscriptionPlan => {
  const ordering = draw.isOnce(0.3) ? 'by_key' : 'none';
  const timeoutMs = draw.whole(1, 30) * S;
  // Long waits are short in virtual time, but take their way through every tier.
  const longestMs = draw.isOnce(0.05) ? 20 * M : M;
  return {
    id,
    maxConcurrency: draw.pick(1, 1, 2, 3, 10, 100),
    ...(draw.isOnce(0.3) && { rate: { per_second: Math.round(draw.magnitude(0.2, 50) * 10) / 10, burst: draw.pick(1, 1, 2, 5, 20) } }),
    ordering,
    spread: ordering === 'none' && draw.isOnce(0.15) ? draw.whole(2, 4) : 1,
    timeoutMs,
    ...(draw.isOnce(0.997) && { scheduleMs: Array.from({ length: draw.whole(1, 4) }, () => Math.round(draw.magnitude(1, longestMs / S)) * S) }),
    behaviours: behaviours(draw, activeMs),
    changes: draw.isOnce(0.2) ? changes(draw, activeMs) : [],
  };
};

const behaviours = (draw: Draw, activeMs: number): readonly Behaviour[] => {
  if (draw.isOnce(0.4)) return [{ kind: 'fast', untilMs: activeMs, latencyMs: draw.whole(1, 50) }];
  const phases = Array.from({ length: draw.whole(1, 3) }, (): Behaviour => {
    const kind = draw.pick<Behaviour['kind']>(...kinds(draw));
    return {
      kind,
      untilMs: Math.round(draw.magnitude(S, 10 * M)),
      latencyMs: kind === 'slow' ? draw.whole(500, 20_000) : draw.whole(1, 200),
      ...(kind === 'throttling' && { retryAfterMs: draw.whole(1, 120) * S }),
    };
  }).sort((a, b) => a.untilMs - b.untilMs);
  // In the end it answers, if only that it will not have it.
  return [...phases, { kind: draw.isOnce(0.1) ? 'dead' : 'fast', untilMs: Infinity, latencyMs: 20 }];
};

const kinds = (draw: Draw): readonly [Behaviour['kind'], ...Behaviour['kind'][]] =>
  draw.isOnce(0.03) ? ['gone'] : ['fast', 'fast', 'slow', 'flapping', 'dead', 'refusing', 'throttling', 'hanging'];

const changes = (draw: Draw, activeMs: number): readonly Change[] =>
  Array.from({ length: draw.whole(1, 3) }, () => ({
    atMs: Math.round(draw.between(0, 2 * activeMs)),
    kind: draw.pick<Change['kind']>('reconfigure', 'disable', 'enable', 'delete'),
  })).sort((a, b) => a.atMs - b.atMs);

/** A few processes with both roles, or with one each, so that each role runs somewhere. */
const processPlans = (draw: Draw): readonly ProcessPlan[] => {
  const count = draw.whole(1, 3);
  const isApart = count > 1 && draw.isOnce(0.4);
  return Array.from({ length: count }, (_, n) => ({
    name: `p${n + 1}`,
    roles: isApart ? (n === 0 ? ['delay'] : n === 1 ? ['sender'] : draw.pick(['sender'], ['sender', 'delay'])) : ['sender', 'delay'],
    startMs: draw.isOnce(0.3) ? draw.whole(0, 30) * S : 0,
  }));
};

const eventPlans = (draw: Draw, subscriptions: readonly SubscriptionPlan[], activeMs: number): readonly EventPlan[] => {
  const keys = draw.whole(1, 4);
  const isBurst = draw.isOnce(0.3);
  const beginMs = draw.between(0, 0.5) * activeMs;
  return Array.from({ length: Math.round(draw.magnitude(2, 40)) }, () => ({
    atMs: isBurst && draw.isOnce(0.8) ? beginMs + draw.between(0, 100) : draw.between(0, activeMs),
    bytes: Math.round(draw.magnitude(10, 2_000)),
    key: draw.isOnce(0.8) ? `k${draw.whole(1, keys)}` : undefined,
    isRepeated: draw.isOnce(0.01),
    share: draw.pick(0.2, 0.5, 1),
  }))
    .sort((a, b) => a.atMs - b.atMs)
    .map(({ atMs, bytes, key, isRepeated, share }, n) => ({
      id: `evt_${n}`,
      atMs,
      bytes,
      ...(key !== undefined && { key }),
      ...(isRepeated && { isRepeated: true as const }),
      subscriptions: subscriptions.filter(() => draw.isOnce(share)).map(({ id }) => id),
    }))
    .filter(({ subscriptions }) => subscriptions.length > 0);
};

/** Often of one delivery more than once: cancelled, asked for again, cancelled again. */
const userPlans = (draw: Draw, events: readonly EventPlan[]): readonly UserPlan[] => {
  const favourites = Array.from({ length: draw.whole(1, 5) }, () => draw.whole(0, events.length - 1));
  return Array.from({ length: draw.whole(1, 12) }, (): UserPlan | undefined => {
    const event = events[favourites[draw.whole(0, favourites.length - 1)] ?? 0];
    const subscription = event?.subscriptions[draw.whole(0, event.subscriptions.length - 1)];
    if (event === undefined || subscription === undefined) return undefined;
    return {
      atMs: event.atMs + draw.magnitude(1, 20 * M),
      kind: draw.pick('cancel', 'cancel', 'redeliver'),
      event: event.id,
      subscription,
      ...(draw.isOnce(0.3) && { isForced: true as const }),
      ...(draw.isOnce(0.1) && { isRepeated: true as const }),
    };
  })
    .filter((plan) => plan !== undefined)
    .sort((a, b) => a.atMs - b.atMs);
};

const faultPlans = (draw: Draw, processes: readonly ProcessPlan[], activeMs: number): readonly Fault[] =>
  Array.from({ length: draw.whole(1, 5) }, (): Fault => {
    const process = processes[draw.whole(0, processes.length - 1)]?.name ?? '';
    const atMs = Math.round(draw.between(0, 2 * activeMs));
    const moment: Moment = draw.isOnce(0.5)
      ? { atMs }
      : { after: draw.pick('append', 'append', 'commit', 'request', 'answer', 'parking'), count: Math.ceil(draw.magnitude(1, 100)) };
    switch (draw.pick('crash', 'crash', 'crash', 'restart', 'stall', 'kafka', 'kafka', 'database')) {
      case 'crash':
        return { kind: 'crash', process, moment, downMs: Math.round(draw.magnitude(100, 60 * S)) };
      case 'restart':
        return { kind: 'restart', process, moment, downMs: Math.round(draw.magnitude(100, 10 * S)) };
      case 'stall':
        return { kind: 'stall', process, moment, forMs: Math.round(draw.magnitude(100, 60 * S)) };
      case 'kafka':
        return { kind: 'kafka', atMs, forMs: Math.round(draw.magnitude(S, 60 * S)), ...kafkaTrouble(draw) };
      default:
        return { kind: 'database', atMs, forMs: Math.round(draw.magnitude(100, 30 * S)) };
    }
  });

const kafkaTrouble = (draw: Draw) =>
  draw.pick<{ isDown: true } | { slowness: number } | { lostAnswers: number } | { failures: number }>(
    { isDown: true },
    { slowness: Math.round(draw.magnitude(10, 500)) },
    { lostAnswers: draw.pick(0.02, 0.1) },
    { failures: draw.pick(0.1, 0.5) },
  );

/** Where a delivery goes, as router and delay say it. */
export const placeOf = ({ subscriptions, partitions }: Scenario, id: string, eventId: string): number =>
  partitionFor(id, subscriptions.find((each) => each.id === id)?.spread ?? 1, eventId, partitions);
