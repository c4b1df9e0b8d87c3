import { describe, expect, it } from '@jest/globals';
import * as fc from 'fast-check';
import { CommandRefused, fold } from '../decider.js';
import { isOpen, NOTHING_REPLAYED, replay, type Replay, type ReplayCommand, type ReplayEvent, type ReplayState, type ReplayWish } from './replay.js';

const at = '2026-11-21T10:00:00.000Z';
const later = '2026-11-21T10:00:01.000Z';
const wish: ReplayWish = { from: '2026-11-20T00:00:00.000Z', to: '2026-11-21T00:00:00.000Z', statuses: ['failed'], force: false };
const counts = { ...NOTHING_REPLAYED, matched: 3, done: 2, skipped: 1 };

const request: ReplayCommand = { kind: 'request', id: 'rpl_1', tenant: 'acme', wish, at };
const requested: ReplayEvent = { type: 'ReplayRequested', data: { id: 'rpl_1', tenant: 'acme', wish }, at };
const paused: ReplayEvent = { type: 'ReplayPaused', data: {}, at: later };
const resumed: ReplayEvent = { type: 'ReplayResumed', data: {}, at: later };
const cancelled: ReplayEvent = { type: 'ReplayCancelled', data: {}, at: later };
const finished: ReplayEvent = { type: 'ReplayFinished', data: { counts }, at: later };
const failed: ReplayEvent = { type: 'ReplayFailed', data: { failure: 'subscription_deleted' }, at: later };

const given = (...history: readonly ReplayEvent[]) => {
  const state = fold(replay, history);
  return { state, when: (command: ReplayCommand) => replay.decide(command, state) };
};
const refused = (code: string) => expect.objectContaining({ code });

describe('a replay', () => {
  it('runs from when it is asked for', () => {
    expect(given().when(request)).toEqual([requested]);
    expect(given(requested).state).toEqual({ kind: 'replay', id: 'rpl_1', tenant: 'acme', wish, status: 'running', created_at: at, updated_at: at });
  });

  it('is about a time that is not empty', () => {
    expect(() => given().when({ ...request, wish: { ...wish, to: wish.from } })).toThrow(expect.objectContaining({ code: 'invalid', path: 'to' }));
  });

  it('has an id of its own', () => {
    expect(() => given(requested).when(request)).toThrow(refused('already_exists'));
    expect(() => given().when({ kind: 'pause', at })).toThrow(refused('not_found'));
  });

  it('pauses and goes on, each once however often it is asked', () => {
    expect(given(requested).when({ kind: 'pause', at: later })).toEqual([paused]);
    expect(given(requested, paused).when({ kind: 'pause', at: later })).toEqual([]);
    expect(given(requested, paused).when({ kind: 'resume', at: later })).toEqual([resumed]);
    expect(given(requested, paused, resumed).when({ kind: 'resume', at: later })).toEqual([]);
    expect(given(requested, paused, resumed).state).toMatchObject({ status: 'running', updated_at: later });
  });

  it.each([[[]], [[paused]]])('is cancelled while it is open', (more) => {
    expect(given(requested, ...more).when({ kind: 'cancel', at: later })).toEqual([cancelled]);
    expect(given(requested, ...more, cancelled).state).toMatchObject({ status: 'cancelled', finished_at: later });
    expect(given(requested, ...more, cancelled).when({ kind: 'cancel', at: later })).toEqual([]);
  });

  it('is done when everything was looked at', () => {
    expect(given(requested).when({ kind: 'finish', counts, at: later })).toEqual([finished]);
    expect(given(requested, finished).state).toMatchObject({ status: 'done', finished_at: later });
  });

  it('fails when it cannot be brought to its end, and says why', () => {
    expect(given(requested).when({ kind: 'fail', failure: 'subscription_deleted', at: later })).toEqual([failed]);
    expect(given(requested, failed).state).toMatchObject({ status: 'failed', failure: 'subscription_deleted', finished_at: later });
  });

  it.each([[paused], [cancelled], [failed]])('is not finished behind the back of whoever stopped it: %j', (stopped) => {
    expect(given(requested, stopped).when({ kind: 'finish', counts, at: later })).toEqual([]);
    expect(given(requested, stopped).when({ kind: 'fail', failure: 'subscription_disabled', at: later })).toEqual([]);
  });

  it.each(['pause', 'resume', 'cancel'] as const)('that is done refuses to %s', (kind) => {
    expect(() => given(requested, finished).when({ kind, at: later })).toThrow(refused('conflict'));
  });
});

const anyCommand: fc.Arbitrary<ReplayCommand> = fc.oneof(
  ...(['pause', 'resume', 'cancel'] as const).map((kind) => fc.constant({ kind, at: later })),
  fc.constant({ kind: 'finish' as const, counts, at: later }),
  fc.constant({ kind: 'fail' as const, failure: 'subscription_disabled' as const, at: later }),
  fc.constant(request),
);

type Step = { readonly before: Replay; readonly events: readonly ReplayEvent[] | 'refused'; readonly after: Replay };

const lived = (commands: readonly ReplayCommand[]): readonly Step[] => {
  let before = replay.initialState;
  return commands.map((command) => {
    let events: Step['events'];
    try {
      events = replay.decide(command, before);
    } catch (error) {
      if (!(error instanceof CommandRefused)) throw error;
      events = 'refused';
    }
    const step = { before, events, after: events === 'refused' ? before : fold(replay, events, before) };
    before = step.after;
    return step;
  });
};

const inEveryHistory = (holds: (steps: readonly Step[]) => void) => () =>
  fc.assert(fc.property(fc.array(anyCommand, { maxLength: 12 }), (commands) => holds(lived(commands))), { numRuns: 500 });

describe('a replay, whatever is asked of it,', () => {
  it(
    'folds at once to what it folds to step by step, stored in between',
    inEveryHistory((steps) => {
      const history = steps.flatMap(({ events }) => (events === 'refused' ? [] : events));
      expect(fold(replay, JSON.parse(JSON.stringify(history)) as ReplayEvent[])).toEqual(steps.at(-1)?.after ?? replay.initialState);
    }),
  );

  it(
    'never leaves an end, and has the time of it exactly then',
    inEveryHistory((steps) => {
      for (const { before, after } of steps.filter((step) => step.before.kind === 'replay' && !isOpen(step.before))) expect(after).toEqual(before);
      for (const { after } of steps.filter((step) => step.after.kind === 'replay')) {
        const { status, finished_at, failure } = after as ReplayState; // as filtered
        expect([finished_at !== undefined, failure !== undefined]).toEqual([!isOpen({ status }), status === 'failed']);
      }
    }),
  );

  it(
    'changes its status by each event',
    inEveryHistory((steps) => {
      for (const { before, events, after } of steps) {
        if (events === 'refused' || events.length === 0) continue;
        expect(events).toHaveLength(1);
        expect(after).not.toMatchObject({ status: before.kind === 'replay' ? before.status : 'absent' });
      }
    }),
  );
});
