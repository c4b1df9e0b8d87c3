import type { LookupAddress } from 'node:dns';
import type { NameRecord, Resolve } from '../resolve.js';

const MIN_TTL_MS = 1_000;
const MAX_TTL_MS = 60_000;
/** A name that does not exist is likely not to for a while; a server that failed may be back in a moment. */
const ABSENT_TTL_MS = 5_000;
const FAILED_TTL_MS = 1_000;
const ABSENT: ReadonlySet<string> = new Set(['ENOTFOUND', 'ENODATA']);

type Entry = { readonly answer: Promise<readonly LookupAddress[]>; untilMs: number };

export type NameCacheOptions = {
  readonly query: (hostname: string) => Promise<NameRecord>;
  readonly nowMs: () => number;
  /** The one that was asked first is forgotten when there would be more. Default 10,000. */
  readonly maxNames?: number | undefined;
};

/**
 * What names resolved to, for as long as their servers want it, but never less than a second nor more than a minute: a TTL of 0 would mean a query for
 * every connection, one of a day that a moved receiver is lost for a day. Whoever asks while a query is under way waits for it. It holds answers, not verdicts: who
 * uses one judges it, each time.
 */
export class NameCache {
  private readonly entries = new Map<string, Entry>();
  private readonly maxNames: number;

  constructor(private readonly options: NameCacheOptions) {
    this.maxNames = options.maxNames ?? 10_000;
  }

  readonly resolve: Resolve = (hostname) => {
    const known = this.entries.get(hostname);
    if (known !== undefined && known.untilMs > this.options.nowMs()) return known.answer;
    const entry: Entry = { answer: this.ask(hostname, (ttlMs) => (entry.untilMs = this.options.nowMs() + ttlMs)), untilMs: Infinity };
    this.entries.delete(hostname);
    this.entries.set(hostname, entry);
    if (this.entries.size > this.maxNames) this.forgetOldest();
    return entry.answer;
  };

  get size(): number {
    return this.entries.size;
  }

  private async ask(hostname: string, settle: (ttlMs: number) => void): Promise<readonly LookupAddress[]> {
    try {
      const { addresses, ttlSeconds } = await this.options.query(hostname);
      settle(Math.min(Math.max(ttlSeconds * 1_000, MIN_TTL_MS), MAX_TTL_MS));
      return addresses;
    } catch (error) {
      settle(error instanceof Error && 'code' in error && ABSENT.has(String(error.code)) ? ABSENT_TTL_MS : FAILED_TTL_MS);
      throw error;
    }
  }

  private forgetOldest(): void {
    const [oldest] = this.entries.keys();
    if (oldest !== undefined) this.entries.delete(oldest);
  }
}
