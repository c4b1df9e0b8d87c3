import { MOST_NEAR_MATCHES, type NearMatchReason } from '@posthorn/contracts';
import type { Judgement } from './filters.js';
import type { Candidate, Candidates } from './subscription-table.js';

export type NearMatch = { readonly subscription: string; readonly why: NearMatchReason };

/** To which subscriptions an event goes, as the table was when this was begun. Filters are judged in parts, as time allows. */
export class Decision {
  /** What matched, each subscription once, by the partition that its delivery goes to. */
  readonly byPartition: ReadonlyMap<number, readonly string[]>;
  readonly #matched = new Map<number, string[]>();
  readonly #partitionOf: (candidate: Candidate) => number;
  readonly #judge: (filter: string) => Judgement;
  readonly #groups: readonly (readonly [filter: string, candidates: readonly Candidate[]])[];
  #judgedGroups = 0;
  readonly #near: NearMatch[] = [];
  readonly #disabled: readonly string[];
  readonly #nearCounts: Record<NearMatchReason, number>;

  /**
   * @param judge asked once for each filter
   * @param partitionOf where the delivery to a candidate goes
   */
  constructor(candidates: Candidates, judge: (filter: string) => Judgement, partitionOf: (candidate: Candidate) => number) {
    this.byPartition = this.#matched;
    this.#partitionOf = partitionOf;
    this.#judge = judge;
    this.#groups = [...candidates.filtered];
    this.#disabled = candidates.disabled;
    this.#nearCounts = { filter_false: 0, filter_failed: 0, filter_budget: 0, disabled: candidates.disabledCount };
    for (const candidate of candidates.unfiltered) this.#match(candidate);
  }

  /** Goes on until every filter has been judged, which it says by true, or the time is up, which it asks before each. */
  proceed(isTimeUp: () => boolean): boolean {
    for (let group = this.#groups[this.#judgedGroups]; group !== undefined; group = this.#groups[this.#judgedGroups]) {
      if (isTimeUp()) return false;
      this.#judgeGroup(...group);
      this.#judgedGroups += 1;
    }
    return true;
  }

  /** The near matches that are named: those that their filters kept away first. */
  get near(): readonly NearMatch[] {
    const disabled = this.#disabled.slice(0, MOST_NEAR_MATCHES - this.#near.length);
    return [...this.#near, ...disabled.map((subscription) => ({ subscription, why: 'disabled' as const }))];
  }

  /** All near matches. */
  get nearCounts(): Readonly<Record<NearMatchReason, number>> {
    return this.#nearCounts;
  }

  #judgeGroup(filter: string, candidates: readonly Candidate[]): void {
    const judgement = this.#judge(filter);
    if (judgement === 'passes') {
      for (const candidate of candidates) this.#match(candidate);
      return;
    }
    this.#nearCounts[judgement] += candidates.length;
    for (const { subscription } of candidates.slice(0, MOST_NEAR_MATCHES - this.#near.length)) this.#near.push({ subscription, why: judgement });
  }

  #match(candidate: Candidate): void {
    const partition = this.#partitionOf(candidate);
    const together = this.#matched.get(partition);
    if (together === undefined) this.#matched.set(partition, [candidate.subscription]);
    else together.push(candidate.subscription);
  }
}
