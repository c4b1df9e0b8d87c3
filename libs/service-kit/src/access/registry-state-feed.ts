import { POSITION_HEADER, recordSchemas, requireKnownSchema, type AggregateState } from '@posthorn/contracts';
import type { FollowedRecord, FollowOptions, Following } from '@posthorn/kafka';

type Kind = AggregateState['kind'];
type StateOf<K extends Kind> = Extract<AggregateState, { readonly kind: K }>;

/** What folds the records of one kind: an aggregate's new state, or that it is gone. Must neither throw nor wait. */
export type RegistryFolder<K extends Kind> = {
  changed(state: StateOf<K>): void;
  removed(id: string): void;
};

/** `Kafka.follow` on `registry.state`. */
export type FollowRegistryState = (onRecord: FollowOptions['onRecord']) => Promise<Following>;

/** Between two readings to the end, so that unknown names, however many, cost Kafka ten a second. */
const GAP_MS = 100;
const pauseForGap = (): Promise<void> => new Promise((resolve) => void setTimeout(resolve, GAP_MS));

const isOf = <K extends Kind>(kind: K, state: AggregateState): state is StateOf<K> => state.kind === kind;

/** The one following of `registry.state` in a process: whoever needs what it holds adds a folder before it starts. */
export class RegistryStateFeed {
  /** Has read up to the end as it was at the start. */
  readonly caughtUp: Promise<void>;
  #onCaughtUp: { resolve: () => void; reject: (error: unknown) => void } = { resolve: () => undefined, reject: () => undefined };
  #isCaughtUp = false;
  #position = 0;
  #following: Following | undefined;
  readonly #folders = new Map<string, { changed(state: AggregateState): void; removed(id: string): void }[]>();
  #reading: Promise<void> = Promise.resolve();
  #next: Promise<void> | undefined;
  readonly #pause: () => Promise<void>;

  /** @param pause between two readings to the end; for tests */
  constructor(pause: () => Promise<void> = pauseForGap) {
    this.#pause = pause;
    this.caughtUp = new Promise((resolve, reject) => void (this.#onCaughtUp = { resolve, reject }));
    // Whoever does not ask for it need not handle that it was closed before.
    this.caughtUp.catch(() => undefined);
  }

  /** Records of kinds that nobody folds are not even parsed. */
  fold<K extends Kind>(kind: K, folder: RegistryFolder<K>): void {
    const folders = this.#folders.get(kind) ?? [];
    this.#folders.set(kind, folders);
    folders.push({
      changed: (state) => {
        if (isOf(kind, state)) folder.changed(state);
      },
      removed: (id) => folder.removed(id),
    });
  }

  async start(follow: FollowRegistryState): Promise<void> {
    this.#following = await follow((record) => this.#apply(record));
    this.#following.caughtUp.then(() => {
      this.#isCaughtUp = true;
      this.#onCaughtUp.resolve();
    }, this.#onCaughtUp.reject);
  }

  get isCaughtUp(): boolean {
    return this.#isCaughtUp;
  }

  /** In the event store: what happened up to there has been folded. */
  get position(): number {
    return this.#position;
  }

  /** Records up to the end of the topic, as far as it has been seen. */
  get lag(): number {
    return this.#following?.lag ?? 0;
  }

  /**
   * Resolves when everything that `registry.state` held at the call has been folded. What one does not know may just have been made:
   * it is called unknown after this. The reading is one that has not begun yet, since one under way may already be past the record that
   * matters; it is shared by all who ask, and there are at most ten a second.
   */
  readFresh(): Promise<void> {
    this.#next ??= this.#reading.then(() => {
      this.#next = undefined;
      const reading = this.#readToEnd();
      this.#reading = reading.catch(() => undefined).then(this.#pause);
      return reading;
    });
    return this.#next;
  }

  async #readToEnd(): Promise<void> {
    if (this.#following === undefined) throw new Error('registry.state is not followed yet');
    await this.#following.readToEnd();
  }

  /** @throws {Error} on a record that this version cannot read: going on without it would mean to judge by half of what there is */
  #apply({ key, value, headers }: Pick<FollowedRecord, 'key' | 'value' | 'headers'>): void {
    requireKnownSchema(headers);
    this.#fold({ key, value, headers });
    this.#position = Math.max(this.#position, Number(headers[POSITION_HEADER]?.toString() ?? 0));
  }

  #fold({ key, value, headers }: Pick<FollowedRecord, 'key' | 'value' | 'headers'>): void {
    const folders = this.#folders.get(headers['kind']?.toString() ?? '');
    if (folders === undefined || key === null) return;
    if (value === null) {
      for (const folder of folders) folder.removed(key.toString());
      return;
    }
    const { state } = recordSchemas.registryState.parse(JSON.parse(value.toString()));
    for (const folder of folders) folder.changed(state);
  }
}
