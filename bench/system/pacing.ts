/** An open loop: event n is due at `startMicros + n / perSecond`, whatever has become of those before it. */
export type Pace = { readonly startMicros: number; readonly perSecond: number; readonly events: number };

/** A timer of Node cannot be finer; what it is late for that alone is not counted against Posthorn. */
export const GRAIN_MICROS = 1_000;

export const dueMicros = ({ startMicros, perSecond }: Pace, n: number): number => startMicros + (n / perSecond) * 1e6;

/** How many events have come due. */
export const dueCount = ({ startMicros, perSecond, events }: Pace, nowMicros: number): number =>
  nowMicros < startMicros ? 0 : Math.min(events, Math.floor(((nowMicros - startMicros) / 1e6) * perSecond) + 1);

/** From when the time of an event counts: when it is sent, but no more than a grain after it was due. A generator that is held up thereby hides nothing. */
export const stampMicros = (due: number, nowMicros: number): number => Math.min(Math.max(due, nowMicros), due + GRAIN_MICROS);
