/** Undefined when ready, else the reason why not. */
export type ReadinessCheck = () => undefined | string | Promise<undefined | string>;

export type Readiness =
  | { readonly status: 'ready' }
  | { readonly status: 'not_ready'; readonly reasons: readonly { readonly name: string; readonly reason: string }[] };

/** A check that takes longer counts as failed: a probe that hangs tells nobody anything. */
const CHECK_MS = 1_000;

export class Health {
  readonly #checks = new Map<string, ReadinessCheck>();
  readonly #checkMs: number;

  constructor(checkMs = CHECK_MS) {
    this.#checkMs = checkMs;
  }

  /** Adds a check, or replaces the one of that name. Checks run at the same time, each with a limit of a second. */
  addReadiness(name: string, check: ReadinessCheck): void {
    this.#checks.set(name, check);
  }

  removeReadiness(name: string): void {
    this.#checks.delete(name);
  }

  async readiness(): Promise<Readiness> {
    const outcomes = await Promise.all(
      [...this.#checks].map(async ([name, check]) => ({ name, reason: await this.#reason(check) })),
    );
    const reasons = outcomes.flatMap(({ name, reason }) => (reason === undefined ? [] : [{ name, reason }]));
    return reasons.length === 0 ? { status: 'ready' } : { status: 'not_ready', reasons };
  }

  async #reason(check: ReadinessCheck): Promise<string | undefined> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<string>((resolve) => {
      timer = setTimeout(() => resolve(`no answer within ${this.#checkMs} ms`), this.#checkMs);
    });
    try {
      return await Promise.race([check(), late]);
    } catch (error) {
      return error instanceof Error ? error.message : String(error);
    } finally {
      clearTimeout(timer);
    }
  }
}
