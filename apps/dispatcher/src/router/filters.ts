import type { Envelope } from '@posthorn/contracts';
import { compileFilter, EventInput, type Filter, type FilterVerdict, GenerationCache } from '@posthorn/domain';

/** Compiled filters kept, of those in use lately; one takes a few kilobytes. */
const KEPT = 10_000;

/**
 * Filters by their text: equal ones are compiled once for all subscriptions and judged once per event, and the event's data is parsed
 * once, when the first of them asks for it.
 */
export class Filters {
  readonly #compiled = new GenerationCache<string, Filter['judge']>(KEPT, compiled);

  /** Judges filters for one event. */
  of(event: Envelope, data: Uint8Array): (filter: string) => FilterVerdict {
    const input = new EventInput(event, data);
    const verdicts = new Map<string, FilterVerdict>();
    return (filter) => {
      let verdict = verdicts.get(filter);
      if (verdict === undefined) {
        verdict = this.#compiled.get(filter)(input);
        verdicts.set(filter, verdict);
      }
      return verdict;
    };
  }
}

/** The registry has compiled it before. Should it not compile here, nothing passes: to deliver what was filtered out is the worse mistake. */
const compiled = (text: string): Filter['judge'] => {
  const result = compileFilter(text);
  if (result.kind === 'compiled') return result.filter.judge;
  const verdict: FilterVerdict = { matches: false, reason: result.message };
  return () => verdict;
};
