import { recordSchemas, SCHEMA_HEADER, SCHEMA_VERSION } from '@posthorn/contracts';

type StateRecord = {
  readonly key: Buffer | null;
  readonly value: Buffer | null;
  readonly headers: Readonly<Record<string, Buffer | undefined>>;
};

export type TenantsOptions = {
  /** Resolves when everything that `registry.state` held at the call has been folded. */
  readonly readToEnd: () => Promise<void>;
  /** Between two readings to the end, so that unknown names, however many, cost Kafka ten a second; for tests. */
  readonly pause?: () => Promise<void>;
};

const GAP_MS = 100;
const TENANT = 'tenant';

const pauseForGap = (): Promise<void> => new Promise((resolve) => void setTimeout(resolve, GAP_MS));

/** The tenants there are, folded from `registry.state`. */
export class Tenants {
  readonly #ids = new Set<string>();
  /** Answers being awaited. While there is one, later questions about the tenant join it, so that events keep their order. */
  readonly #pending = new Map<string, Promise<boolean>>();
  #reading: Promise<void> = Promise.resolve();
  #next: Promise<void> | undefined;
  readonly #readToEnd: () => Promise<void>;
  readonly #pause: () => Promise<void>;

  constructor({ readToEnd, pause = pauseForGap }: TenantsOptions) {
    this.#readToEnd = readToEnd;
    this.#pause = pause;
  }

  get size(): number {
    return this.#ids.size;
  }

  /** @throws {Error} on a record that this version cannot read: to go on without it would mean to refuse a tenant's events */
  fold({ key, value, headers }: StateRecord): void {
    const schema = headers[SCHEMA_HEADER]?.toString();
    if (schema !== SCHEMA_VERSION) throw new Error(`a record of registry.state has schema ${schema ?? 'none'}, not ${SCHEMA_VERSION}`);
    if (headers['kind']?.toString() !== TENANT || key === null) return;
    if (value === null) {
      this.#ids.delete(key.toString());
      return;
    }
    const { state } = recordSchemas.registryState.parse(JSON.parse(value.toString()));
    if (state.kind === TENANT) this.#ids.add(state.id);
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

  /** A reading that has not begun yet: one under way may already be past the record that matters. Shared by all who ask. */
  #readFresh(): Promise<void> {
    this.#next ??= this.#reading.then(() => {
      this.#next = undefined;
      const reading = this.#readToEnd();
      this.#reading = reading.catch(() => undefined).then(this.#pause);
      return reading;
    });
    return this.#next;
  }
}
