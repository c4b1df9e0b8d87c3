import { describe, expect, it } from '@jest/globals';
import { recordSchemas } from '@posthorn/contracts';
import * as fc from 'fast-check';
import { CommandRefused, fold } from '../decider.js';
import { subscriptionCommands } from '../spec-support/index.js';
import { subscription, type Subscription, type SubscriptionCommand, type SubscriptionEvent } from './subscription.js';

type Step = {
  readonly command: SubscriptionCommand;
  readonly before: Subscription;
  /** `refused` by a CommandRefused; anything else that is thrown is thrown on. */
  readonly outcome: readonly SubscriptionEvent[] | 'refused';
  readonly after: Subscription;
};

const decided = (command: SubscriptionCommand, state: Subscription): readonly SubscriptionEvent[] | 'refused' => {
  try {
    return subscription.decide(command, state);
  } catch (error) {
    if (error instanceof CommandRefused) return 'refused';
    throw error;
  }
};

const lived = (commands: readonly SubscriptionCommand[]): readonly Step[] => {
  let before = subscription.initialState;
  return commands.map((command) => {
    const outcome = decided(command, before);
    const step = { command, before, outcome, after: outcome === 'refused' ? before : fold(subscription, outcome, before) };
    before = step.after;
    return step;
  });
};

const stored = <T>(value: T): T => JSON.parse(JSON.stringify(value)) as T; // as the event store gives it back

const inEveryHistory = (holds: (steps: readonly Step[]) => void) => () => {
  fc.assert(
    fc.property(subscriptionCommands(), (commands) => holds(lived(commands))),
    { numRuns: 500 },
  );
};

describe('a subscription, whatever is asked of it,', () => {
  it(
    'folds at once to what it folds to step by step, stored in between',
    inEveryHistory((steps) => {
      const history = steps.flatMap(({ outcome }) => (outcome === 'refused' ? [] : outcome));
      expect(stored(fold(subscription, stored(history)))).toStrictEqual(stored(steps.at(-1)?.after));
    }),
  );

  it(
    'has a state that registry.state carries, whole',
    inEveryHistory((steps) => {
      for (const { after } of steps) {
        if (after.kind !== 'subscription') continue;
        const record = { position: 1, version: 1, state: after };
        expect(stored(recordSchemas.registryState.parse(record))).toStrictEqual(stored(record));
      }
    }),
  );

  it(
    'changes something by each event',
    inEveryHistory((steps) => {
      for (const { before, outcome } of steps) {
        if (outcome === 'refused') continue;
        let state = before;
        for (const event of outcome) {
          const next = subscription.evolve(state, event);
          expect({ ...next, updated_at: '' }).not.toEqual({ ...state, updated_at: '' });
          state = next;
        }
      }
    }),
  );

  it(
    'states nothing when it is asked for the same again',
    inEveryHistory((steps) => {
      const repeatable = steps.filter(({ command, outcome }) => outcome !== 'refused' && !['delete', 'create', 'rotate_secret'].includes(command.kind));
      for (const { command, after } of repeatable) expect(decided(command, after)).toEqual([]);
    }),
  );

  it(
    'signs with one to five secrets, of which only the newest has no end',
    inEveryHistory((steps) => {
      for (const { after, command } of steps) {
        if (after.kind !== 'subscription') continue;
        const [newest, ...previous] = after.signing_secrets;
        expect(newest).not.toHaveProperty('expires_at');
        expect(previous.length).toBeLessThanOrEqual(4);
        for (const { expires_at } of previous) expect(expires_at).toEqual(expect.any(String));
        if (command.kind !== 'rotate_secret') continue;
        for (const { expires_at = '' } of previous) expect(expires_at > command.at).toBe(true);
      }
    }),
  );

  it(
    'has a reason and a time of being disabled exactly while it is',
    inEveryHistory((steps) => {
      for (const { after } of steps) {
        if (after.kind !== 'subscription') continue;
        expect([after.disabled_reason !== undefined, after.disabled_at !== undefined]).toEqual([!after.enabled, !after.enabled]);
      }
    }),
  );

  it(
    'refuses everything after its deletion',
    inEveryHistory((steps) => {
      const after = steps.filter(({ before }) => before.kind === 'deleted');
      expect(after.map(({ outcome }) => outcome)).toEqual(after.map(() => 'refused'));
    }),
  );

  it('meets all that can be decided, in these histories', () => {
    const seen = new Set<string>();
    for (const commands of fc.sample(subscriptionCommands(), { numRuns: 500, seed: 1 })) {
      for (const { outcome, command } of lived(commands)) {
        if (outcome === 'refused') seen.add(`${command.kind} refused`);
        else if (outcome.length === 0) seen.add(`${command.kind} without effect`);
        else for (const { type } of outcome) seen.add(type);
      }
    }
    expect([...seen]).toEqual(
      expect.arrayContaining([
        'SubscriptionCreated',
        'SubscriptionUpdated',
        'SubscriptionEnabled',
        'SubscriptionDisabled',
        'SubscriptionSecretRotated',
        'SubscriptionReencrypted',
        'SubscriptionDeleted',
        'create refused',
        'update refused',
        'reencrypt refused',
        'delete refused',
        'enable without effect',
        'disable without effect',
      ]),
    );
  });
});
