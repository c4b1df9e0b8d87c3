import { durationMs, durationText } from '@posthorn/contracts';
import type { Duration } from '@posthorn/contracts/grpc';
import { Problem } from '../problem.js';

/*
 * What protobuf says otherwise than JSON. A call is turned into the JSON that the REST API takes, and judged by the same schemas; what
 * makes no sense in it becomes a text that they refuse, so that it is refused there, at its path.
 */

type Members = Readonly<Record<string, unknown>>;

/** Without the members that are undefined: of some of them the presence counts. */
export const present = (members: Members): Record<string, unknown> =>
  Object.fromEntries(Object.entries(members).filter(([, value]) => value !== undefined));

/** A scalar without `optional` that is empty, or zero, was not given. */
export const given = <T extends string | number>(value: T): T | undefined => (value === '' || value === 0 ? undefined : value);

export const givenList = <T>(list: readonly T[]): readonly T[] | undefined => (list.length === 0 ? undefined : list);
export const givenMap = (map: Readonly<Record<string, string>>): Readonly<Record<string, string>> | undefined =>
  Object.keys(map).length === 0 ? undefined : map;

/** A switch in a query. */
export const flagText = (flag: boolean | undefined): string | undefined => flag?.toString();

export const durationOf = (duration: Duration | undefined): string | undefined =>
  duration && durationText(duration.seconds * 1_000 + duration.nanos / 1_000_000);

export const toDuration = (text: string): Duration => {
  const ms = durationMs(text);
  return { seconds: Math.trunc(ms / 1_000), nanos: (ms % 1_000) * 1_000_000 };
};

export const timeOf = (time: Date | undefined): string | undefined =>
  time && (Number.isNaN(time.getTime()) ? 'out of range' : time.toISOString());

export const toTime = (text: string | undefined): Date | undefined => (text === undefined ? undefined : new Date(text));

/**
 * An enum's words: `ORDERING_BY_KEY` is `by_key`.
 * @param none its zero, `…_UNSPECIFIED`, which says what all its words begin with
 */
export const words = <E extends string>(type: Readonly<Record<string, E>>, none: E) => {
  const prefix = none.slice(0, -'UNSPECIFIED'.length);
  return {
    of: (value: E): string | undefined => (value === none ? undefined : value.replace(prefix, '').toLowerCase()),
    to: (word: string | undefined): E => (word === undefined ? none : (type[`${prefix}${word.toUpperCase()}`] ?? none)),
  };
};

/**
 * A google.protobuf.Value or Struct, which can say what JSON cannot.
 * @throws {Problem} `invalid` for a number that is none
 */
export const jsonOf = (value: unknown, path: string): unknown => {
  if (typeof value === 'number' && !Number.isFinite(value)) {
    const message = 'JSON has no such number';
    throw new Problem('invalid', `${path}: ${message}`, { errors: [{ path, message }] });
  }
  if (Array.isArray(value)) value.forEach((element: unknown, n) => jsonOf(element, `${path}[${n}]`));
  else if (typeof value === 'object' && value !== null) {
    for (const [name, member] of Object.entries(value)) jsonOf(member, `${path}.${name}`);
  }
  return value;
};
