/** Undefined when ready, else the reason why not. */
export type ReadinessCheck = () => undefined | string | Promise<undefined | string>;

/** What `/readyz` tells; members beside these two are information. */
export type Readiness = {
  readonly status: 'ready' | 'not_ready';
  readonly reasons?: readonly { readonly name: string; readonly reason: string }[];
  readonly [information: string]: unknown;
};

/** A check that takes longer counts as failed: a probe that hangs tells nobody anything. */
const CHECK_MS = 1_000;

export class Health {
  readonly #checks = new Map<string, ReadinessCheck>();
  readonly #information = new Map<string, () => Promise<unknown>>();
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

  /** Names of what decides the readiness. */
  get checks(): Iterable<string> {
    return this.#checks.keys();
  }

  /** Adds something that is told with the readiness and does not decide it; within the same limit. */
  addInformation(name: string, tell: () => Promise<unknown>): void {
    this.#information.set(name, tell);
  }

  async readiness(): Promise<Readiness> {
    const [outcomes, information] = await Promise.all([
      Promise.all([...this.#checks].map(async ([name, check]) => ({ name, reason: await this.#withinLimit(check) }))),
      Promise.all([...this.#information].map(async ([name, tell]) => [name, await this.#withinLimit(tell)] as const)),
    ]);
    const reasons = outcomes.flatMap(({ name, reason }) => (reason === undefined ? [] : [{ name, reason }]));
    const told = Object.fromEntries(information);
    return reasons.length === 0 ? { ...told, status: 'ready' } : { ...told, status: 'not_ready', reasons };
  }

  /** The answer, or in words why there is none. */
  async #withinLimit<T>(ask: () => T | Promise<T>): Promise<T | string> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<string>((resolve) => {
      timer = setTimeout(() => resolve(`no answer within ${this.#checkMs} ms`), this.#checkMs);
    });
    try {
      return await Promise.race([ask(), late]);
    } catch (error) {
      return error instanceof Error ? error.message : String(error);
    } finally {
      clearTimeout(timer);
    }
  }
}
