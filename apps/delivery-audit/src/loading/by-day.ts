/** Values by day and id: days are few, and no text is made of the two to be looked up by. */
export class ByDay<Value> {
  readonly #days = new Map<string, Map<string, Value>>();

  get(day: string, id: string): Value | undefined {
    return this.#days.get(day)?.get(id);
  }

  set(day: string, id: string, value: Value): void {
    let ids = this.#days.get(day);
    if (ids === undefined) this.#days.set(day, (ids = new Map()));
    ids.set(id, value);
  }

  values(): Value[] {
    return [...this.#days.values()].flatMap((ids) => [...ids.values()]);
  }
}
