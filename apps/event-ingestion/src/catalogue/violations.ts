import type { Envelope } from '@posthorn/contracts';
import { type Fault, GenerationCache } from '@posthorn/domain';
import type { Logger } from '@posthorn/kafka';

export type ViolationsOptions = {
  readonly count: (policy: 'warn' | 'reject') => void;
  readonly log: Pick<Logger, 'warn'>;
  readonly nowMs?: () => number;
};

/** Between two lines about the same type of the same tenant. */
const QUIET_MS = 60_000;
/** Twice as many types are remembered at most. Where more than that go wrong within a minute, some are told of more often. */
const GENERATION = 5_000;

/** What did not fit its schema: counted each time, and when it was let in all the same, told in the log once a minute. */
export class Violations {
  readonly #told = new GenerationCache<string, { atMs: number }>(GENERATION, () => ({ atMs: -Infinity }));
  readonly #options: ViolationsOptions;

  constructor(options: ViolationsOptions) {
    this.#options = options;
  }

  warned({ tenant, type, id }: Pick<Envelope, 'tenant' | 'type' | 'id'>, errors: readonly Fault[]): void {
    const { count, log, nowMs = () => performance.now() } = this.#options;
    count('warn');
    const last = this.#told.get(`${tenant}/${type}`);
    const now = nowMs();
    if (now - last.atMs < QUIET_MS) return;
    last.atMs = now;
    log.warn({ tenant, event_type: type, event_id: id, errors }, 'events do not fit the schema of their type; accepted, as the tenant has it');
  }

  /** The log has a line for each event that is refused anyway. */
  rejected(): void {
    this.#options.count('reject');
  }
}
