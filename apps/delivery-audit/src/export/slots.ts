/** Who may begin: at most so many at once, and of one tenant so many. */
export class Slots {
  readonly #most: number;
  readonly #mostPerTenant: number;
  readonly #taken = new Map<string, number>();
  #all = 0;

  constructor(most: number, mostPerTenant: number) {
    this.#most = most;
    this.#mostPerTenant = mostPerTenant;
  }

  /** Gives the slot back, however often it is called; or why there is none. */
  take(tenant: string): (() => void) | 'all_taken' | 'tenant_has_all' {
    const taken = this.#taken.get(tenant) ?? 0;
    if (taken >= this.#mostPerTenant) return 'tenant_has_all';
    if (this.#all >= this.#most) return 'all_taken';
    this.#taken.set(tenant, taken + 1);
    this.#all++;
    let isGivenBack = false;
    return () => {
      if (isGivenBack) return;
      isGivenBack = true;
      this.#giveBack(tenant);
    };
  }

  get taken(): number {
    return this.#all;
  }

  #giveBack(tenant: string): void {
    this.#all--;
    const left = (this.#taken.get(tenant) ?? 0) - 1;
    if (left > 0) this.#taken.set(tenant, left);
    else this.#taken.delete(tenant);
  }
}
