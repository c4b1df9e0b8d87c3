/** How far a partition was told: all before `offset`, and so many pieces of news of the record there. */
export type Point = { readonly offset: number; readonly told: number };

/** How far a watcher was told, by partition. */
export type Place = ReadonlyMap<number, Point>;

const POINT = /^([0-9a-z]{1,10})(?:~([0-9a-z]{1,4}))?$/;
const BASE = 36;
/** Thousands of partitions; an HTTP header of more is refused before it comes here. */
const MOST_CHARACTERS = 8 * 1024;

const pointText = ({ offset, told }: Point): string => (told === 0 ? offset.toString(BASE) : `${offset.toString(BASE)}~${told.toString(BASE)}`);

/** `2s.0.1f~3`: what a partition's point is, from partition 0 on, which are numbered without gaps. */
export const placeText = (place: Place): string => Array.from({ length: place.size }, (_, partition) => pointText(place.get(partition) ?? { offset: 0, told: 0 })).join('.');

/** Undefined when it is no such text. */
export const placeOf = (text: string): Place | undefined => {
  if (text.length > MOST_CHARACTERS) return undefined;
  const points = text.split('.').map((point) => POINT.exec(point));
  const place = new Map<number, Point>();
  for (const [partition, match] of points.entries()) {
    if (match === null) return undefined;
    const [, offset = '', told = '0'] = match;
    place.set(partition, { offset: Number.parseInt(offset, BASE), told: Number.parseInt(told, BASE) });
  }
  return place;
};
