/** What a visitor holds of a room. */
export type Place = {
  /** For room, before it had any. */
  readonly waitedMs: number;
  /** Gives back what is not needed after all. */
  readonly shrinkTo: (bytes: number) => void;
  readonly leave: () => void;
};

type Waiting = { readonly bytes: number; readonly cameAtMs: number; readonly enter: (place: Place) => void };

/** So many bytes, for all who hold some. Who finds too few of them left waits, in the order of arrival. */
export class Room {
  #left: number;
  readonly #waiting = new Set<Waiting>();

  constructor(private readonly bytes: number) {
    this.#left = bytes;
  }

  /** @returns undefined when there was no room in time; who asks for more than there is at all, has it alone */
  async enter(bytes: number, withinMs: number): Promise<Place | undefined> {
    const wanted = Math.min(bytes, this.bytes);
    if (this.#waiting.size === 0 && wanted <= this.#left) return this.#place(wanted, 0);
    const cameAtMs = performance.now();
    return new Promise((resolve) => {
      const waiting: Waiting = {
        bytes: wanted,
        cameAtMs,
        enter: (place) => {
          clearTimeout(timer);
          resolve(place);
        },
      };
      const timer = setTimeout(() => {
        this.#waiting.delete(waiting);
        resolve(undefined);
        // Whoever stood behind may want less.
        this.#letIn();
      }, withinMs);
      this.#waiting.add(waiting);
    });
  }

  #place(wanted: number, waitedMs: number): Place {
    let held = wanted;
    this.#left -= held;
    const shrinkTo = (bytes: number): void => {
      if (bytes >= held) return;
      this.#left += held - bytes;
      held = bytes;
      this.#letIn();
    };
    return { waitedMs, shrinkTo, leave: () => shrinkTo(0) };
  }

  #letIn(): void {
    for (const waiting of this.#waiting) {
      if (waiting.bytes > this.#left) return;
      this.#waiting.delete(waiting);
      waiting.enter(this.#place(waiting.bytes, performance.now() - waiting.cameAtMs));
    }
  }
}
