/** What the id of a bench's event tells: which load it belongs to, its number in it, and when it was due, in microseconds of the monotonic clock that all processes of a machine share. */
export type Stamped = { readonly run: number; readonly sequence: number; readonly dueMicros: number };

const FORM = /^bench-(\d+)-(\d+)-(\d+)$/;

export const eventId = ({ run, sequence, dueMicros }: Stamped): string => `bench-${run}-${sequence}-${Math.round(dueMicros)}`;

/** Undefined for an id that is not ours. */
export const parseEventId = (id: string): Stamped | undefined => {
  const [, run, sequence, dueMicros] = FORM.exec(id) ?? [];
  return run === undefined ? undefined : { run: Number(run), sequence: Number(sequence), dueMicros: Number(dueMicros) };
};

/** What the ids of all events of a load begin with. */
export const idPrefix = (run: number): string => `bench-${run}-`;
