import type { TenantState } from '@posthorn/contracts';

/** The tenants there are, folded from `registry.state`. */
export class Tenants {
  readonly #ids = new Set<string>();
  /** Answers being awaited. While there is one, later questions about the tenant join it, so that events keep their order. */
  readonly #pending = new Map<string, Promise<boolean>>();
  readonly #readFresh: () => Promise<void>;

  /** @param readFresh resolves when everything that `registry.state` held at the call has been folded */
  constructor(readFresh: () => Promise<void>) {
    this.#readFresh = readFresh;
  }

  get size(): number {
    return this.#ids.size;
  }

  changed({ id }: Pick<TenantState, 'id'>): void {
    this.#ids.add(id);
  }

  removed(id: string): void {
    this.#ids.delete(id);
  }

  /**
   * Whether there is such a tenant. An unknown name is not believed at once: the tenant may just have been created, so what
   * `registry.state` holds now is read first.
   */
  exists(id: string): true | Promise<boolean> {
    const pending = this.#pending.get(id);
    if (pending) return pending;
    if (this.#ids.has(id)) return true;
    const answer = this.#readFresh()
      .then(() => this.#ids.has(id))
      .finally(() => this.#pending.delete(id));
    this.#pending.set(id, answer);
    return answer;
  }
}
