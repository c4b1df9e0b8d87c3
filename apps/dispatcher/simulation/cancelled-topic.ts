import type { Broker, Stored } from './broker.js';
import type { Life } from './clock.js';

const TOPIC = 'deliveries.cancelled';
const POLL_MS = 300;

/** `deliveries.cancelled` as one process follows it: all partitions from their beginnings, without a group. */
export class CancelledTopic {
  readonly #positions = new Map<number, number>();
  #waiters: { readonly upTo: readonly number[]; readonly resolve: () => void }[] = [];
  #isFetching = false;

  constructor(
    private readonly broker: Broker,
    private readonly life: Life,
    private readonly onRecord: (record: Stored) => void,
  ) {}

  /** There is more in it. */
  grew(): void {
    if (this.#isFetching) return;
    this.#isFetching = true;
    this.broker.clock.after(this.life, this.broker.latencyMs(), () => this.#fetched());
  }

  async readToEnd(): Promise<void> {
    const upTo = await this.broker.ask(this.life, () => this.#partitions().map((partition) => this.broker.log(TOPIC, partition).length));
    await new Promise<void>((resolve) => {
      this.#waiters.push({ upTo, resolve });
      this.#release();
    });
  }

  #fetched(): void {
    if (this.broker.weather.isDown) {
      this.broker.clock.after(this.life, POLL_MS, () => this.#fetched());
      return;
    }
    this.#isFetching = false;
    for (const partition of this.#partitions()) {
      const log = this.broker.log(TOPIC, partition);
      for (const record of log.slice(this.#positions.get(partition) ?? 0)) this.onRecord(record);
      this.#positions.set(partition, log.length);
    }
    this.#release();
  }

  #release(): void {
    this.#waiters = this.#waiters.filter(({ upTo, resolve }) => {
      if (upTo.some((end, partition) => (this.#positions.get(partition) ?? 0) < end)) return true;
      resolve();
      return false;
    });
  }

  #partitions(): readonly number[] {
    return Array.from({ length: this.broker.partitionsOf(TOPIC) }, (_, partition) => partition);
  }
}
