/** Room for the first so many arrivals; it doubles. */
const FIRST_ROOM = 4_096;

/** Numbers up to 2³² in a row that grows, without an object for each. */
class Column {
  #values = new Uint32Array(FIRST_ROOM);
  #length = 0;

  push(value: number): void {
    if (this.#length === this.#values.length) {
      const larger = new Uint32Array(this.#values.length * 2);
      larger.set(this.#values);
      this.#values = larger;
    }
    this.#values[this.#length] = value;
    this.#length += 1;
  }

  get values(): Uint32Array {
    return this.#values.slice(0, this.#length);
  }
}

/** A set of small whole numbers, a bit each. */
class Marks {
  #bits = new Uint8Array(64);

  /** Whether it was not there yet. */
  add(n: number): boolean {
    const at = n >> 3;
    if (at >= this.#bits.length) {
      const larger = new Uint8Array(Math.max(at + 1, this.#bits.length * 2));
      larger.set(this.#bits);
      this.#bits = larger;
    }
    const bit = 1 << (n & 7);
    const before = this.#bits[at] ?? 0;
    this.#bits[at] = before | bit;
    return (before & bit) === 0;
  }
}

/** What of one load has come in: every event at most once for each subscription, or it is a repetition. */
export class Arrivals {
  readonly #seen = new Map<number, Marks>();
  readonly #latencyMicros = new Column();
  readonly #atMillis = new Column();
  #firstMicros: number | undefined;
  #requests = 0;
  #deliveries = 0;

  /** @param atMicros when the request was complete */
  add(subscription: number, sequence: number, dueMicros: number, atMicros: number): void {
    let marks = this.#seen.get(subscription);
    if (marks === undefined) this.#seen.set(subscription, (marks = new Marks()));
    this.#requests += 1;
    if (!marks.add(sequence)) return;
    this.#deliveries += 1;
    this.#firstMicros ??= atMicros;
    this.#latencyMicros.push(Math.max(0, atMicros - dueMicros));
    this.#atMillis.push((atMicros - this.#firstMicros) / 1_000);
  }

  get requests(): number {
    return this.#requests;
  }

  /** Requests without the repetitions. */
  get deliveries(): number {
    return this.#deliveries;
  }

  get subscriptions(): number {
    return this.#seen.size;
  }

  get latencyMicros(): Uint32Array {
    return this.#latencyMicros.values;
  }

  /** Of each delivery, since the first. */
  get atMillis(): Uint32Array {
    return this.#atMillis.values;
  }
}
