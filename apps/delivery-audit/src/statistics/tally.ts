import { storable } from '@posthorn/event-store';
import { Figures, type CountedAttempt, type EndedDelivery } from './figures.js';
import { VarintReader, VarintWriter } from './varints.js';

export const MINUTE_MS = 60_000;

/** Whose figures: a row of either table has these. */
type Owner = { readonly tenant: string; readonly subscription_id: string };

/** What a transaction adds to the statistics of a tenant: figures of its subscriptions, by minutes. */
export type Delta = { readonly tenant: string; readonly figures: Buffer };

const MINUTE_LENGTH = 'yyyy-mm-ddThh:mm'.length;

const existing = <Key, Value>(map: Map<Key, Value>, key: Key, make: () => Value): Value => {
  let value = map.get(key);
  if (value === undefined) map.set(key, (value = make()));
  return value;
};

/** Counts the attempts and ended deliveries of one transaction. */
export class Tally {
  readonly #tenants = new Map<string, Map<string, Map<number, Figures>>>();
  /** Attempts come in the order of time, more or less: most begin in the minute of the one before. */
  #lastMinute = { text: '', minute: 0 };

  /** @param attempt `started_at` in UTC */
  addAttempt(owner: Owner, attempt: CountedAttempt & { readonly started_at: string }, times = 1): void {
    this.#figures(owner, this.#minuteOf(attempt.started_at)).addAttempt(attempt, times);
  }

  addDelivery(owner: Owner, delivery: EndedDelivery, times = 1): void {
    this.#figures(owner, Math.floor(delivery.finishedMs / MINUTE_MS)).addDelivery(delivery, times);
  }

  addFigures(owner: Owner, minute: number, figures: Figures): void {
    this.#figures(owner, minute).add(figures);
  }

  deltas(): readonly Delta[] {
    return [...this.#tenants].flatMap(([tenant, subscriptions]) => {
      const counted = [...subscriptions].map(([id, minutes]) => [id, [...minutes].filter(([, figures]) => !figures.isEmpty)] as const);
      const worthTelling = counted.filter(([, minutes]) => minutes.length > 0);
      return worthTelling.length === 0 ? [] : [{ tenant, figures: encode(worthTelling) }];
    });
  }

  #minuteOf(time: string): number {
    if (this.#lastMinute.text === '' || !time.startsWith(this.#lastMinute.text)) {
      this.#lastMinute = { text: time.slice(0, MINUTE_LENGTH), minute: Math.floor(Date.parse(time) / MINUTE_MS) };
    }
    return this.#lastMinute.minute;
  }

  #figures({ tenant, subscription_id }: Owner, minute: number): Figures {
    const subscriptions = existing(this.#tenants, tenant, () => new Map<string, Map<number, Figures>>());
    const minutes = existing(subscriptions, subscription_id, () => new Map<number, Figures>());
    return existing(minutes, minute, () => new Figures());
  }
}

/** Each subscription with the length of what is told of it, then its minutes; under the id that a text of PostgreSQL can hold, as its deliveries are. */
const encode = (subscriptions: readonly (readonly [string, readonly (readonly [number, Figures])[]])[]): Buffer => {
  const writer = new VarintWriter();
  for (const [id, minutes] of subscriptions) {
    const inner = new VarintWriter();
    for (const [minute, figures] of minutes) inner.signed(minute).bytes(figures.encode());
    writer.text(storable(id)).bytes(inner.written());
  }
  return writer.written();
};

/**
 * Hands out what a delta holds, of all subscriptions or of one: the others' are passed over unread.
 * @param visit its minute counts from the epoch
 * @throws {ForeignBytes}
 */
export const readDelta = (
  bytes: Buffer,
  only: string | undefined,
  visit: (subscription: string, minute: number, figures: Figures) => void,
): void => {
  const reader = new VarintReader(bytes);
  while (!reader.isAtEnd) {
    const subscription = reader.text();
    const minutes = new VarintReader(reader.bytes());
    if (only !== undefined && subscription !== only) continue;
    while (!minutes.isAtEnd) {
      const minute = minutes.signed();
      visit(subscription, minute, Figures.decode(minutes.bytes()));
    }
  }
};
