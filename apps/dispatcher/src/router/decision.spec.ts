import { describe, expect, it } from '@jest/globals';
import { Decision } from './decision.js';
import type { Judgement } from './filters.js';
import type { Candidate, Candidates } from './subscription-table.js';

const candidates = (...ids: string[]): Candidate[] => ids.map((subscription) => ({ subscription, home: subscription.length, spread: 1 }));
const of = (more: Partial<Candidates>): Candidates => ({ unfiltered: [], filtered: new Map(), disabled: [], disabledCount: 0, ...more });
const home = (candidate: Candidate): number => candidate.home;
const never = (): boolean => false;
const numbered = (prefix: string, count: number): string[] => Array.from({ length: count }, (_, n) => `${prefix}${n}`);

describe('a decision', () => {
  it('groups what matches by partition, and says of the others why they do not', () => {
    const judgements: Record<string, Judgement> = { yes: 'passes', no: 'filter_false', broken: 'filter_failed', late: 'filter_budget' };
    const filtered = new Map([
      ['yes', candidates('b', 'cc')],
      ['no', candidates('d')],
      ['broken', candidates('e')],
      ['late', candidates('f')],
    ]);
    const decision = new Decision(of({ unfiltered: candidates('a'), filtered, disabled: ['g'], disabledCount: 1 }), (filter) => judgements[filter] ?? 'passes', home);
    expect(decision.proceed(never)).toBe(true);
    expect([...decision.byPartition]).toEqual([
      [1, ['a', 'b']],
      [2, ['cc']],
    ]);
    expect(decision.near).toEqual([
      { subscription: 'd', why: 'filter_false' },
      { subscription: 'e', why: 'filter_failed' },
      { subscription: 'f', why: 'filter_budget' },
      { subscription: 'g', why: 'disabled' },
    ]);
    expect(decision.nearCounts).toEqual({ filter_false: 1, filter_failed: 1, filter_budget: 1, disabled: 1 });
  });

  it('names a hundred near matches, those kept away by a filter first, and counts all', () => {
    const filtered = new Map([['no', candidates(...numbered('f', 70))]]);
    const decision = new Decision(of({ filtered, disabled: numbered('d', 100), disabledCount: 500 }), () => 'filter_false', home);
    decision.proceed(never);
    expect(decision.near.map(({ subscription }) => subscription)).toEqual([...numbered('f', 70), ...numbered('d', 30)]);
    expect(decision.nearCounts).toMatchObject({ filter_false: 70, disabled: 500 });
    const more = new Decision(of({ filtered: new Map([['no', candidates(...numbered('f', 300))]]), disabled: ['d'], disabledCount: 1 }), () => 'filter_false', home);
    more.proceed(never);
    expect(more.near).toHaveLength(100);
  });

  it('stops before the next filter when the time is up, and goes on where it was', () => {
    const asked: string[] = [];
    const filtered = new Map(numbered('filter ', 5).map((filter) => [filter, candidates(`of ${filter}`)] as const));
    const decision = new Decision(of({ filtered }), (filter) => (asked.push(filter), 'passes'), home);
    let left = 2;
    expect(decision.proceed(() => left-- <= 0)).toBe(false);
    expect(asked).toEqual(numbered('filter ', 2));
    expect(decision.proceed(never)).toBe(true);
    expect(asked).toEqual(numbered('filter ', 5));
  });
});
