import type { RegistryFolder } from '@posthorn/service-kit';

const dayAt = (ms: number): string => new Date(ms).toISOString().slice(0, 'yyyy-mm-dd'.length);

/**
 * How long whose history is kept, folded from `registry.state`. A day is over for a tenant when its last event has been kept as long as the
 * tenant wants. What belongs to nobody, or to a tenant that the registry does not know, is kept as long as anybody's: not to know is no
 * reason to delete. A tenant that was deleted, as far as this process has seen it, keeps nothing.
 */
export class RetentionPolicy {
  readonly #retentionMs = new Map<string, number>();
  readonly #deleted = new Set<string>();
  readonly #isComplete: () => boolean;

  /** @param isComplete whether the registry has been read: before that nothing is over */
  constructor(isComplete: () => boolean) {
    this.#isComplete = isComplete;
  }

  readonly tenants: RegistryFolder<'tenant'> = {
    changed: ({ id, settings }) => {
      this.#deleted.delete(id);
      this.#retentionMs.set(id, settings.retention_ms);
    },
    removed: (id) => {
      this.#retentionMs.delete(id);
      this.#deleted.add(id);
    },
  };

  /** The first day of which anybody's history is kept; undefined while none is over. */
  firstDay(nowMs: number): string | undefined {
    if (!this.#isComplete() || this.#retentionMs.size === 0) return undefined;
    let longestMs = 0;
    for (const retentionMs of this.#retentionMs.values()) longestMs = Math.max(longestMs, retentionMs);
    return dayAt(nowMs - longestMs);
  }

  /** Whether a tenant's history of this day is over. A deleted tenant's is, on all days. */
  isOver(tenant: string, day: string, nowMs: number): boolean {
    if (!this.#isComplete()) return false;
    return this.#deleted.has(tenant) || this.isTooOld(tenant, day, nowMs);
  }

  /** Whether what is read of this day comes too late to be recorded. What still comes of a deleted tenant goes with the rest of it. */
  isTooOld(tenant: string | null, day: string, nowMs: number): boolean {
    const retentionMs = tenant === null ? undefined : this.#retentionMs.get(tenant);
    const first = retentionMs === undefined || !this.#isComplete() ? this.firstDay(nowMs) : dayAt(nowMs - retentionMs);
    return first !== undefined && day < first;
  }
}
