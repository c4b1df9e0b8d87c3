import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { play, type Result } from './history.js';
import { applied, mutations } from './mutations.js';
import { reportOf } from './report.js';
import { scenarioOf, type Scenario } from './scenario.js';
import { shrink } from './shrink.js';

const root = resolve(import.meta.dirname, '..', '..', '..');
/** A part of what `npm run simulate` plays. */
const SEEDS = 500;

const firstFailing = async (seeds: number): Promise<number | undefined> => {
  for (let seed = 1; seed <= seeds; seed++) if ((await play(scenarioOf(seed))).violation !== undefined) return seed;
  return undefined;
};

/** As if one event for one subscription were lost by a crash. */
const failing = ({ events, faults }: Scenario): Result => {
  const isThere = events.some(({ id, subscriptions }) => id === 'evt_3' && subscriptions.includes('sub_1'));
  const isLost = isThere && faults.some(({ kind }) => kind === 'crash');
  const violation = isLost ? { invariant: 'every delivery ends' as const, what: '', atMs: 0 } : undefined;
  return { ending: 'rest', violation, events: 0, elapsedMs: 0, deliveries: 0, requests: 0, trace: [] };
};

describe('sender and delay, simulated', () => {
  it(`keep what they promise in ${SEEDS} random histories`, async () => {
    const failing = await firstFailing(SEEDS);
    expect(failing === undefined ? 'none fails' : await reportOf(failing)).toBe('none fails');
  }, 300_000);

  it('do the same each time a history is played', async () => {
    for (const seed of [11, 12, 13]) {
      const [once, again] = [await play(scenarioOf(seed), { isTraced: true }), await play(scenarioOf(seed), { isTraced: true })];
      expect(again).toEqual(once);
      expect(once.trace.length).toBeGreaterThan(10);
    }
  }, 60_000);
});

describe('a failing history', () => {
  it('is made as small as what fails in it', async () => {
    const seeds = Array.from({ length: 200 }, (_, seed) => scenarioOf(seed));
    const scenario = seeds.find((each) => failing(each).violation !== undefined && each.events.length > 10 && each.faults.length > 2);
    if (scenario === undefined) throw new Error('none of these seeds has what is looked for');
    const { scenario: smallest } = await shrink({ scenario, result: failing(scenario) }, async (each) => failing(each));
    expect(smallest.events.map(({ id, subscriptions }) => [id, subscriptions])).toEqual([['evt_3', ['sub_1']]]);
    expect(smallest.subscriptions.map(({ id, ordering, changes }) => [id, ordering, changes])).toEqual([['sub_1', 'none', []]]);
    expect(smallest.faults.map(({ kind }) => kind)).toEqual(['crash']);
    expect([smallest.processes.length, smallest.partitions]).toEqual([1, 1]);
  });
});

describe('the mutations that the simulator has to find', () => {
  it.each(mutations)('$name: has its place in the sources', (mutation) => {
    expect(() => applied(mutation, readFileSync(join(root, mutation.file), 'utf8'))).not.toThrow();
  });
});
