import { describe, expect, it } from '@jest/globals';
import type { IncomingRecord } from '@posthorn/kafka';
import { Intake, type UnfoldableRecord } from './intake.js';
import { noRows, type RecordRows, type Refused } from './rows.js';

const ignore = (): void => undefined;
const silent = { debug: ignore, info: ignore, warn: ignore, error: ignore, fatal: ignore };

const foreign: Refused = { reason: 'foreign_delivery', tenant: 'other', delivery_id: 'dlv_1', round: 0, number: 1 };

/** A record whose value is the id of its one delivery. */
const rowsOf = (value: Buffer): RecordRows => {
  if (value.toString() === 'unreadable') throw new SyntaxError('not JSON');
  if (value.toString() === 'foreign') return { ...noRows, refused: [foreign] };
  return { ...noRows, deliveries: [{ day: '2026-11-21', id: value.toString(), created_at: '' }] as never };
};

/** Lets everything run that needs no further input; batches are due at once. */
const settled = (): Promise<void> => new Promise((resolve) => void setImmediate(resolve));

class Scene {
  readonly done: string[] = [];
  readonly unfoldable: string[] = [];
  readonly refused: Refused[] = [];
  readonly warned: object[] = [];
  /** The transactions, by what they hold; each waits for its answer. */
  readonly loads: { readonly ids: readonly string[]; commit(): void; fail(error: Error): void }[] = [];
  readonly revoked = new Set<string>();
  readonly intake = new Intake({
    folds: new Map([['t', rowsOf]]),
    load: ({ deliveries }) =>
      new Promise((resolve, reject) => {
        this.loads.push({
          ids: deliveries.map(({ id }) => id),
          commit: () => resolve({ events: 0, decisions: 0, deliveries: deliveries.length, attempts: 0, rounds: 0, cancellations: 0, rejected_events: 0, duplicates: 0, configuration: 0 }),
          fail: reject,
        });
      }),
    limits: { rows: 3, bytes: 1_000, ageMs: 0 },
    log: { ...silent, warn: (fields) => void this.warned.push(fields) },
    onRefused: (refused) => void this.refused.push(...refused),
    onUnfoldable: (error: UnfoldableRecord) => this.unfoldable.push(error.message),
  });

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
