import { Problem } from '@posthorn/service-kit';
import type { EventRequest } from './original.js';

/** What the ingestion answered, to be passed on as it is. */
export type Answer = { readonly status: number; readonly headers: Readonly<Record<string, string>>; readonly body: Buffer };

/** Longer than the ingestion takes to say that it cannot. */
const TIMEOUT_MS = 10_000;

/** About the connection, or no longer true of the body as it was read. */
const NOT_PASSED_ON: ReadonlySet<string> = new Set(['connection', 'keep-alive', 'transfer-encoding', 'content-length', 'content-encoding', 'date']);

/** The service that takes events in. */
export class EventIngestion {
  constructor(
    private readonly url: string,
    private readonly timeoutMs = TIMEOUT_MS,
  ) {}

  /**
   * An answer, whatever it says.
   * @throws {Problem} `unavailable` when there is none
   */
  async publish(tenant: string, { headers, body }: EventRequest): Promise<Answer> {
    const url = new URL(`/v1/tenants/${encodeURIComponent(tenant)}/events`, this.url);
    try {
      const response = await fetch(url, { method: 'POST', headers, body, redirect: 'error', signal: AbortSignal.timeout(this.timeoutMs) });
      const kept = [...response.headers].filter(([name]) => !NOT_PASSED_ON.has(name));
      return { status: response.status, headers: Object.fromEntries(kept), body: Buffer.from(await response.arrayBuffer()) };
    } catch (cause) {
      throw new Problem('unavailable', 'The event ingestion does not answer. The event may have been published; try again.', { cause });
    }
  }
}
