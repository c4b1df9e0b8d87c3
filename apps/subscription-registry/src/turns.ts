/** Lets so many work at a time; the others wait, and come in the order in which they asked. */
export class Turns {
  #free: number;
  readonly #waiting: (() => void)[] = [];

  constructor(atOnce: number) {
    this.#free = atOnce;
  }

  /** Ends as the work does, which begins when it is its turn. */
  async take<T>(work: () => Promise<T>): Promise<T> {
    if (this.#free > 0) this.#free--;
    else await new Promise<void>((resolve) => this.#waiting.push(resolve));
    try {
      return await work();
    } finally {
      const next = this.#waiting.shift();
      if (next) next();
      else this.#free++;
    }
  }
}

/** One at a time for each name, and any number of names at once. */
export class TurnsByName {
  readonly #turns = new Map<string, { readonly turns: Turns; takers: number }>();

  async take<T>(name: string, work: () => Promise<T>): Promise<T> {
    const entry = this.#turns.get(name) ?? { turns: new Turns(1), takers: 0 };
    this.#turns.set(name, entry);
    entry.takers++;
    try {
      return await entry.turns.take(work);
    } finally {
      if (--entry.takers === 0) this.#turns.delete(name);
    }
  }
}
