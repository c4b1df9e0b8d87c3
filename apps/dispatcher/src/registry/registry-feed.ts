import { POSITION_HEADER, type AggregateState, type RegistryState } from '@posthorn/contracts';

/** What is told of each record of `registry.state`: an aggregate's new state, or that it is gone. */
export type RegistryListener = {
  /** @param version of the aggregate, from 1 */
  changed(state: AggregateState, version: number): void;
  removed(id: string): void;
};

type StateRecord = {
  readonly key: Buffer | null;
  readonly value: Buffer | null;
  readonly headers: Readonly<Record<string, Buffer | undefined>>;
};

type Waiting = { readonly position: number; readonly run: () => void };

const RETRY_READ_MS = 1_000;

/**
 * Folds `registry.state` into its listeners and knows how far it has come. A record routed at some position must not be judged by an
 * older table, or a new subscription would be called unknown; `whenReached` holds such work back, in order, for the
 * milliseconds that it takes.
 */
export class RegistryFeed {
  #position = 0;
  #waiting: Waiting[] = [];
  readonly #listeners: RegistryListener[];
  /** Resolves when everything that was in the topic at the call has been applied. */
  readonly #readToEnd: () => Promise<void>;

  constructor(listeners: readonly RegistryListener[], readToEnd: () => Promise<void>) {
    this.#listeners = [...listeners];
    this.#readToEnd = readToEnd;
  }

  /** Global position in the event store up to which every change has been applied. */
  get position(): number {
    return this.#position;
  }

  /** From now on; after those that were there before. */
  listen(listener: RegistryListener): void {
    this.#listeners.push(listener);
  }

  readonly apply = ({ key, value, headers }: StateRecord): void => {
    const id = key?.toString() ?? '';
    if (value === null) {
      for (const listener of this.#listeners) listener.removed(id);
    } else {
      const { state, version } = JSON.parse(value.toString()) as RegistryState;
      for (const listener of this.#listeners) listener.changed(state, version);
    }
    this.#position = Math.max(this.#position, Number(headers[POSITION_HEADER]?.toString() ?? 0));
    if (this.#waiting.length > 0) this.#release();
  };

  /** Runs it now if the position has been reached and nothing waits before it, else as soon as both hold. */
  whenReached(position: number, run: () => void): void {
    if (position <= this.#position && this.#waiting.length === 0) {
      run();
      return;
    }
    this.#waiting.push({ position, run });
    if (this.#waiting.length === 1) this.#reachEnd();
  }

  /**
   * The registry answers a write only after publishing it, so a position can be missing from the topic only when compaction took
   * the deletion that carried it, or when a client made it up. Once the topic has been read to its end, nobody waits for it any longer.
   */
  #reachEnd(): void {
    const last = this.#waiting.at(-1);
    this.#readToEnd().then(
      () => {
        const count = last === undefined ? 0 : this.#waiting.indexOf(last) + 1;
        for (const { run } of this.#waiting.splice(0, count)) run();
        this.#release();
        if (this.#waiting.length > 0) this.#reachEnd();
      },
      () => setTimeout(() => this.#reachEnd(), RETRY_READ_MS),
    );
  }

  #release(): void {
    let reached = 0;
    while (reached < this.#waiting.length && (this.#waiting[reached]?.position ?? 0) <= this.#position) reached += 1;
    for (const { run } of this.#waiting.splice(0, reached)) run();
  }
}
