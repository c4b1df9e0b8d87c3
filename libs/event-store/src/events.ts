/** A domain event about to be stored. `at` is RFC 3339 in UTC with milliseconds. */
export type NewEvent = {
  readonly type: string;
  readonly data: object;
  readonly at: string;
};

/** A domain event as stored. */
export type RecordedEvent = {
  /** Place among all events of the store. Rises with the order of commits; may leave numbers out, never fills them later. */
  readonly position: number;
  readonly stream: string;
  /** Place within the stream: 1, 2, 3, … */
  readonly version: number;
  readonly type: string;
  readonly data: Readonly<Record<string, unknown>>;
  /** Who caused it: the id of a key or of a service. */
  readonly actor: string;
  /** What it was done in answer to: a request, a delivery, another event. */
  readonly cause?: string;
  readonly at: string;
};

/** As the driver hands it over: bigint as text. */
export type EventRow = Omit<RecordedEvent, 'position' | 'cause' | 'at'> & {
  readonly position: string;
  readonly cause: string | null;
  readonly at: Date;
};

export const EVENT_COLUMNS = 'position, stream, version, type, data, actor, cause, at';

export const recordedEvent = ({ position, stream, version, type, data, actor, cause, at }: EventRow): RecordedEvent => ({
  position: Number(position),
  stream,
  version,
  type,
  data,
  actor,
  ...(cause !== null && { cause }),
  at: at.toISOString(),
});
