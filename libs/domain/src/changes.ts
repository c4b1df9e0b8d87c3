import { isDeepStrictEqual } from 'node:util';

/** What shall become of a `T`: what is absent stays, null removes what can be absent, everything else replaces. */
export type Changes<T> = { readonly [Member in keyof T]?: undefined extends T[Member] ? T[Member] | null : T[Member] };

export const isEmpty = (record: object): boolean => Object.keys(record).length === 0;

const isChange = (present: unknown, wanted: unknown): boolean => {
  if (wanted === undefined) return false;
  return wanted === null ? present !== undefined : !isDeepStrictEqual(wanted, present);
};

/** The changes that change something. */
export const differences = <T extends object>(present: T, wanted: Changes<T>): Changes<T> => {
  const changing = Object.entries(wanted).filter(([member, value]) => isChange(present[member as keyof T], value));
  return Object.fromEntries(changing) as Changes<T>; // a part of `wanted`
};

/** As a member of something that changes too: undefined when nothing does. */
export const differencesOrNone = <T extends object>(present: T, wanted: Changes<T> | undefined): Changes<T> | undefined => {
  const changed = differences(present, wanted ?? {});
  return isEmpty(changed) ? undefined : changed;
};

/** `present` after these changes. No member of a `T` is itself null. */
export const merged = <T extends object>(present: T, changes: Changes<T> = {}): T => {
  const members = Object.entries({ ...present, ...changes }).filter(([, value]) => value !== null);
  return Object.fromEntries(members) as T; // only what can be absent is ever null in `changes`
};
