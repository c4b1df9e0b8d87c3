import type { Envelope, NearMatchReason } from '@posthorn/contracts';
import { compileFilter, EventInput, type Filter, type FilterVerdict, GenerationCache, type StepBudget } from '@posthorn/domain';

/** Compiled filters kept, of those in use lately, in two generations; and the weight of a generation, some hundred bytes each. */
const KEPT = 10_000;
const KEPT_WEIGHT = 1_000_000;

/**
 * Steps that all filters of one event may take together, some tenth of a second: one tenant's filters, each within its own bound,
 * must not keep the router busy for minutes. Beyond it no further filter is judged.
 */
export const EVENT_STEPS = 5_000_000;
/** What a filter is charged with before its steps: it is looked up and called, and parts that do not depend on the event cost nothing there. */
const stepsToAsk = (filter: string): number => 5 + (filter.length >> 3);

type Judge = Pick<Filter, 'judge' | 'weight'>;

export type Judgement = 'passes' | Exclude<NearMatchReason, 'disabled'>;

/** Filters by their text: equal ones are compiled once for all subscriptions. */
export class Filters {
  readonly #compiled = new GenerationCache<string, Judge>(KEPT, compiled, { of: (_, { weight }) => weight, most: KEPT_WEIGHT });

  /** Judges filters for one event, within a budget for all of them; the event's data is parsed when the first of them asks for it. */
  of(event: Envelope, data: Uint8Array): (filter: string) => Judgement {
    const input = new EventInput(event, data);
    const budget: StepBudget = { left: EVENT_STEPS };
    return (filter) => {
      budget.left -= stepsToAsk(filter);
      if (budget.left <= 0) return 'filter_budget';
      const verdict = this.#compiled.get(filter).judge(input, budget);
      if (verdict.matches) return 'passes';
      if (verdict.reason === undefined) return 'filter_false';
      return budget.left <= 0 ? 'filter_budget' : 'filter_failed';
    };
  }
}

/** The registry has compiled it before. Should it not compile here, nothing passes: to deliver what was filtered out is the worse mistake. */
const compiled = (text: string): Judge => {
  const result = compileFilter(text);
  if (result.kind === 'compiled') return result.filter;
  const verdict: FilterVerdict = { matches: false, reason: result.message };
  return { weight: text.length, judge: () => verdict };
};
