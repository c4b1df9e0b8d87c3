import { play, type Result } from './history.js';
import type { Scenario, SubscriptionPlan } from './scenario.js';

export type Failure = { readonly scenario: Scenario; readonly result: Result };

/** Histories that are played to find a smaller one. */
const MOST_TRIES = 600;

/**
 * A smaller scenario that fails of the same: whatever can be left out without the failure going away is left out (events, faults, what
 * users ask for, subscriptions, processes, and what is peculiar about each), until nothing more can.
 */
export const shrink = async (failure: Failure, playIt: (scenario: Scenario) => Promise<Result> = play): Promise<Failure> => {
  let smallest = failure;
  let tries = 0;
  const invariant = failure.result.violation?.invariant;
  const isAsBad = async (scenario: Scenario): Promise<boolean> => {
    if (tries >= MOST_TRIES) return false;
    tries += 1;
    const result = await playIt(scenario);
    if (result.violation?.invariant !== invariant) return false;
    smallest = { scenario, result };
    return true;
  };
  for (let before = Infinity; sizeOf(smallest.scenario) < before; ) {
    before = sizeOf(smallest.scenario);
    for (const part of ['events', 'faults', 'users', 'subscriptions', 'processes'] as const) await without(part, () => smallest.scenario, isAsBad);
    await simplify(() => smallest.scenario, isAsBad);
  }
  return smallest;
};

/** Delta debugging: takes out halves, quarters, and so on down to single ones. */
const without = async (part: 'events' | 'faults' | 'users' | 'subscriptions' | 'processes', now: () => Scenario, isAsBad: (scenario: Scenario) => Promise<boolean>): Promise<void> => {
  for (let size = Math.ceil(now()[part].length / 2); size >= 1; size = Math.floor(size / 2)) {
    for (let from = 0; from < now()[part].length; ) {
      const rest = [...now()[part].slice(0, from), ...now()[part].slice(from + size)];
      const isSmaller = rest.length > 0 || part === 'faults' || part === 'users';
      if (!isSmaller || !(await isAsBad(consistent({ ...now(), [part]: rest })))) from += size;
    }
  }
};

/** Nothing for subscriptions that there are not. */
const consistent = (scenario: Scenario): Scenario => {
  const known = new Set(scenario.subscriptions.map(({ id }) => id));
  const events = scenario.events
    .map((event) => ({ ...event, subscriptions: event.subscriptions.filter((id) => known.has(id)) }))
    .filter(({ subscriptions }) => subscriptions.length > 0);
  const users = scenario.users.filter((plan) => events.some(({ id, subscriptions }) => id === plan.event && subscriptions.includes(plan.subscription)));
  return { ...scenario, events, users };
};

const simplify = async (now: () => Scenario, isAsBad: (scenario: Scenario) => Promise<boolean>): Promise<void> => {
  for (const { id } of now().subscriptions) {
    for (const simpler of simplerSubscriptions) {
      const { subscriptions } = now();
      const changed = subscriptions.map((plan) => (plan.id === id ? simpler(plan) : plan));
      if (JSON.stringify(changed) !== JSON.stringify(subscriptions)) await isAsBad({ ...now(), subscriptions: changed });
    }
  }
  for (const { id } of now().events) {
    for (const subscription of now().events.find((event) => event.id === id)?.subscriptions ?? []) {
      const events = now().events.map((event) => (event.id === id ? { ...event, subscriptions: event.subscriptions.filter((each) => each !== subscription) } : event));
      if (events.every(({ subscriptions }) => subscriptions.length > 0)) await isAsBad({ ...now(), events });
    }
  }
  if (now().partitions > 1) await isAsBad({ ...now(), partitions: 1 });
  for (const settings of [{ maxInFlight: 1_000 }, { windowBytes: 800_000 }, { backlogLimit: 100_000 }]) await isAsBad({ ...now(), ...settings });
  if (now().processes.some(({ startMs }) => startMs > 0)) await isAsBad({ ...now(), processes: now().processes.map((plan) => ({ ...plan, startMs: 0 })) });
};

const simplerSubscriptions: readonly ((plan: SubscriptionPlan) => SubscriptionPlan)[] = [
  (plan) => ({ ...plan, changes: [] }),
  ({ rate: _rate, ...plan }) => plan,
  (plan) => ({ ...plan, spread: 1 }),
  (plan) => ({ ...plan, ordering: 'none' }),
  (plan) => ({ ...plan, maxConcurrency: 100 }),
  (plan) => ({ ...plan, behaviours: [{ kind: 'fast', untilMs: Infinity, latencyMs: 10 }] }),
  (plan) => ({ ...plan, behaviours: plan.behaviours.slice(0, 1) }),
  (plan) => ({ ...plan, behaviours: plan.behaviours.slice(1).length > 0 ? plan.behaviours.slice(1) : plan.behaviours }),
  (plan) => ({ ...plan, scheduleMs: [5_000] }),
];

const sizeOf = (scenario: Scenario): number => JSON.stringify(scenario).length;
