import type { RecordedEvent } from '@posthorn/event-store';
import type { ReadModel, Standing } from '../read-model.js';
import { aggregateOf, type AggregateKind } from '../streams.js';

/** An aggregate as its whole stream leaves it, and the read model that its row belongs to. */
export type Folded = { readonly readModel: ReadModel; readonly standing: Standing<unknown> };

/** Folds streams one after the other; holds the state of one, however long it is. */
export class StreamFolder {
  readonly #readModels: ReadonlyMap<AggregateKind, ReadModel>;
  #open: (Folded & { readonly stream: string }) | undefined;

  constructor(readModels: readonly ReadModel[]) {
    this.#readModels = new Map(readModels.map((readModel) => [readModel.kind, readModel]));
  }

  /**
   * @param events that follow those given before, stream by stream, each from its first to its last
   * @returns the aggregates whose last event was met: all but the one that these events end with
   * @throws {TypeError} for a stream that no read model is folded from
   */
  take(events: readonly RecordedEvent[]): readonly Folded[] {
    const folded: Folded[] = [];
    for (const event of events) {
      if (this.#open?.stream !== event.stream) {
        folded.push(...this.finish());
        this.#open = this.#begin(event.stream);
      }
      const { stream, readModel, standing } = this.#open;
      const { version, position } = event;
      const state = readModel.decider.evolve(standing.state, event);
      this.#open = { stream, readModel, standing: { id: standing.id, version, position, state } };
    }
    return folded;
  }

  /** The aggregate that the events given so far end with. */
  finish(): readonly Folded[] {
    const last = this.#open ? [this.#open] : [];
    this.#open = undefined;
    return last;
  }

  #begin(stream: string): Folded & { readonly stream: string } {
    const { kind, id } = aggregateOf(stream);
    const readModel = this.#readModels.get(kind);
    if (!readModel) throw new TypeError(`no read model is folded from ${stream}`);
    return { stream, readModel, standing: { id, version: 0, position: 0, state: readModel.decider.initialState } };
  }
}
