import { afterEach, describe, expect, it } from '@jest/globals';
import type { IncomingRecord } from '@posthorn/kafka';
import { heldBytes } from '@posthorn/testkit';
import { Intake, type IntakeOptions, type UnfoldableRecord } from './intake.js';
import { noRows, type RecordRows, type Refused } from './rows.js';

const ignore = (): void => undefined;
const silent = { debug: ignore, info: ignore, warn: ignore, error: ignore, fatal: ignore };

const foreign: Refused = { reason: 'foreign_delivery', tenant: 'other', delivery_id: 'dlv_1', round: 0, number: 1 };

/** A record whose value is the id of its one delivery. */
const rowsOf = (value: Buffer): RecordRows => {
  if (value.toString() === 'unreadable') throw new SyntaxError('not JSON');
  const [, event] = /^decision (.*)/.exec(value.toString()) ?? [];
  if (event !== undefined) return { ...noRows, deliveries: [{ day: '2026-11-21', id: event, created_at: '', round: 0, number: 0, status: 'pending', waiting_round: null }] as never };
  if (value.toString() === 'foreign') return { ...noRows, refused: [foreign] };
  return { ...noRows, deliveries: [{ day: '2026-11-21', id: value.toString(), created_at: '' }] as never };
};

/** Lets everything run that needs no further input; batches are due at once. */
const settled = (): Promise<void> => new Promise((resolve) => void setImmediate(resolve));

/** Nothing is let go by the clock: a test says what else lets it go. */
const HELD_FOR_LONG = { leastMs: 60_000, mostMs: 60_000, bytes: 25 };
const HELD_BRIEFLY = { ...HELD_FOR_LONG, leastMs: 5, mostMs: 5 };

const intakes: Intake[] = [];

class Scene {
  readonly done: string[] = [];
  readonly unfoldable: string[] = [];
  readonly refused: Refused[] = [];
  readonly warned: object[] = [];
  /** The values that rows were made of, in that order. */
  readonly folded: string[] = [];
  /** The transactions, by what they hold; each waits for its answer. */
  readonly loads: { readonly ids: readonly string[]; commit(): void; fail(error: Error): void }[] = [];
  readonly revoked = new Set<string>();
  readonly #options: IntakeOptions = {
    folds: new Map([['t', (value) => (this.folded.push(value.toString()), rowsOf(value))]]),
    load: ({ deliveries }) =>
      new Promise((resolve, reject) => {
        this.loads.push({
          ids: deliveries.map(({ id }) => id),
          commit: () => resolve({ events: 0, decisions: 0, deliveries: deliveries.length, attempts: 0, rounds: 0, cancellations: 0, rejected_events: 0, duplicates: 0, configuration: 0 }),
          fail: reject,
        });
      }),
    log: { ...silent, warn: (fields) => void this.warned.push(fields) },
    onRefused: (refused) => void this.refused.push(...refused),
    onUnfoldable: (error: UnfoldableRecord) => this.unfoldable.push(error.message),
  };
  readonly intake: Intake;

  constructor({ limits = { rows: 3, bytes: 1_000, ageMs: 0 }, heldLimits = HELD_FOR_LONG } = {}) {
    this.intake = new Intake({ ...this.#options, limits, heldLimits });
    intakes.push(this.intake);
  }

  async add(...values: readonly string[]): Promise<void> {
    for (const value of values) this.intake.add(this.#record(value));
    await settled();
  }

  async answer(load: number, error?: Error): Promise<void> {
    if (error) this.loads[load]?.fail(error);
    else this.loads[load]?.commit();
    await settled();
  }

  get batches(): string[] {
    return this.loads.map(({ ids }) => ids.join(' '));
  }

  #record(value: string): IncomingRecord {
    const { revoked, done } = this;
    return {
      topic: value === 'elsewhere' ? 'u' : 't',
      partition: 0,
      offset: '7',
      timestampMs: 0,
      key: null,
      value: value === 'empty' ? null : Buffer.from(value),
      headers: { schema: Buffer.from(value === 'new' ? '2' : '1') },
      get revoked() {
        return revoked.has(value);
      },
      done: () => void done.push(value),
    };
  }
}

const sqlError = (code: string): Error => Object.assign(new Error('refused'), { code });

describe('the intake', () => {
  afterEach(() => {
    for (const intake of intakes.splice(0)) intake.close();
  });

  it('completes a record when its rows are committed, not before', async () => {
    const scene = new Scene();
    await scene.add('a');
    expect(scene.done).toEqual([]);
    await scene.answer(0);
    expect(scene.done).toEqual(['a']);
  });

  it('has one transaction under way; what arrives meanwhile goes with the next, up to the limit', async () => {
    const scene = new Scene();
    await scene.add('a');
    await scene.add('b', 'c', 'd', 'e');
    expect(scene.batches).toEqual(['a']);
    await scene.answer(0);
    await scene.answer(1);
    expect(scene.batches).toEqual(['a', 'b c d', 'e']);
  });

  it('makes rows of no more than the next transaction takes: what waits behind it stays as it came', async () => {
    const scene = new Scene();
    await scene.add('a', 'b', 'c', 'd', 'e', 'f');
    expect(scene.folded).toEqual(['a', 'b', 'c', 'd']);
    scene.revoked.add('e');
    await scene.answer(0);
    expect(scene.folded).toEqual(['a', 'b', 'c', 'd', 'f']);
    await scene.answer(1);
    await scene.answer(2);
    expect([scene.batches, scene.done]).toEqual([['a', 'b c d', 'f'], ['a', 'b', 'c', 'd', 'f']]);
  });

  it('stops at a record that cannot be read when it comes to it', async () => {
    const scene = new Scene();
    await scene.add('a', 'b', 'c', 'd', 'unreadable');
    expect(scene.unfoldable).toEqual([]);
    await scene.answer(0);
    expect([scene.done, scene.unfoldable]).toEqual([['a'], [expect.stringContaining('not JSON')]]);
  });

  it('writes a decision with what follows from it, and it is done when that is committed', async () => {
    const scene = new Scene();
    await scene.add('decision a');
    await scene.add('b', 'a');
    expect([scene.batches, scene.done]).toEqual([['b'], []]);
    await scene.answer(0);
    expect(scene.batches).toEqual(['b', 'a']);
    await scene.answer(1);
    expect(scene.done).toEqual(['b', 'decision a', 'a']);
  });

  it('writes a decision alone when nothing has followed for a while', async () => {
    const scene = new Scene({ heldLimits: HELD_BRIEFLY });
    await scene.add('decision a');
    while (scene.loads.length < 1) await settled();
    await scene.answer(0);
    expect([scene.batches, scene.done]).toEqual([['a'], ['decision a']]);
  });

  it('writes the oldest decision alone when there is no room for another', async () => {
    const scene = new Scene();
    await scene.add('decision a', 'decision b', 'decision c');
    expect([scene.batches, scene.done]).toEqual([['a'], []]);
  });

  it('holds up nothing else with a decision that it holds', async () => {
    const scene = new Scene({ limits: { rows: 3, bytes: 1_000, ageMs: 1 } });
    await scene.add('decision a');
    await scene.add('b');
    while (scene.loads.length < 1) await settled();
    expect(scene.batches).toEqual(['b']);
  });

  it('writes no decision that was taken away while it was held', async () => {
    const scene = new Scene({ heldLimits: HELD_BRIEFLY });
    scene.revoked.add('decision a');
    await scene.add('decision a', 'decision b');
    while (scene.loads.length < 1) await settled();
    await scene.answer(0);
    expect([scene.batches, scene.done]).toEqual([['b'], ['decision b']]);
  });

  it('writes no decision that it held when it was closed', async () => {
    const scene = new Scene();
    await scene.add('decision a');
    scene.intake.close();
    await scene.add('a');
    expect([scene.batches, scene.done]).toEqual([[], []]);
  });

  it('tries again until PostgreSQL takes it, and says so meanwhile', async () => {
    const scene = new Scene();
    await scene.add('a');
    await scene.answer(0, new Error('Connection terminated'));
    expect(scene.intake.trouble).toBe('Connection terminated');
    while (scene.loads.length < 2) await settled();
    await scene.answer(1);
    expect([scene.done, scene.intake.trouble]).toEqual([['a'], undefined]);
  });

  it('leaves to its new owner what was taken away while it waited', async () => {
    const scene = new Scene();
    await scene.add('a');
    await scene.add('b', 'c');
    scene.revoked.add('c');
    await scene.answer(0);
    expect(scene.batches).toEqual(['a', 'b']);
    scene.revoked.add('b');
    await scene.answer(1, new Error('away'));
    await scene.add('d');
    while (scene.loads.length < 3) await settled();
    expect(scene.batches).toEqual(['a', 'b', 'd']);
  });

  it.each([
    ['new', 'schema version 2 is not known'],
    ['empty', 'the record has no value'],
    ['unreadable', 'not JSON'],
    ['elsewhere', 'not one of the audit'],
  ])('stops for good at a record that is %s, and names its place', async (value, reason) => {
    const scene = new Scene();
    await scene.add(value, 'b', value);
    expect(scene.unfoldable).toEqual([expect.stringMatching(new RegExp(`^[tu]\\[0\\]@7: .*${reason}`))]);
    expect([scene.batches, scene.done]).toEqual([[], []]);
  });

  it.each([sqlError('22021'), sqlError('23502'), new TypeError('object is no value of a column')])(
    'commits what it can of a batch that is refused (%s), and stops at the record that is to blame',
    async (refusal) => {
      const scene = new Scene();
      await scene.add('a');
      await scene.add('b', 'c', 'd');
      await scene.answer(0);
      await scene.answer(1, refusal);
      await scene.answer(2);
      await scene.answer(3, refusal);
      expect(scene.batches).toEqual(['a', 'b c d', 'b', 'c']);
      expect([scene.done, scene.unfoldable.length]).toEqual([['a', 'b'], 1]);
    },
  );

  it('commits one by one what cannot be told apart in one statement', async () => {
    const scene = new Scene();
    await scene.add('a');
    await scene.add('b', 'c');
    await scene.answer(0);
    await scene.answer(1, sqlError('21000'));
    for (const load of [2, 3]) await scene.answer(load);
    expect([scene.batches, scene.done, scene.unfoldable]).toEqual([['a', 'b c', 'b', 'c'], ['a', 'b', 'c'], []]);
  });

  it('keeps nothing that was taken away while PostgreSQL does not answer', async () => {
    const scene = new Scene();
    await scene.add('a', 'b', 'c', 'd');
    const before = heldBytes();
    await scene.add(...Array.from({ length: 20_000 }, () => 'e'));
    // A hundred bytes of each at the least.
    expect(heldBytes() - before).toBeGreaterThan(2_000_000);
    scene.revoked.add('e');
    await scene.answer(0, new Error('away'));
    expect(heldBytes() - before).toBeLessThan(1_000_000);
  });

  it('goes on past what cannot be true, counts it and names its place', async () => {
    const scene = new Scene();
    await scene.add('foreign', 'b');
    await scene.answer(0);
    await scene.answer(1);
    expect(scene.refused).toEqual([foreign]);
    expect(scene.warned).toEqual([{ topic: 't', partition: 0, offset: '7', refused: 1, first: foreign }]);
    expect([scene.done, scene.unfoldable]).toEqual([['foreign', 'b'], []]);
  });

  it('tries again when a partition was missing: the loader makes it', async () => {
    const scene = new Scene();
    await scene.add('a');
    await scene.answer(0, sqlError('23514'));
    while (scene.loads.length < 2) await settled();
    expect(scene.unfoldable).toEqual([]);
  });

  it('gives up the tries when it is closed', async () => {
    const scene = new Scene();
    await scene.add('a');
    await scene.answer(0, new Error('away'));
    scene.intake.close();
    await settled();
    await scene.add('b');
    expect([scene.batches, scene.done]).toEqual([['a'], []]);
  });
});
