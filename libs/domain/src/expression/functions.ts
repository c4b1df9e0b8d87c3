import { EvaluationFailed, pay, payForText, stepsForNames, stepsToFind } from './meter.js';
import { duration, int, noOverload, timestamp } from './operators.js';
import { CelType, Duration, isList, isMembers, RequestParts, timestampText, typeName, type Value } from './value.js';

/** A function, or a method with its receiver as the first argument; it has as many as its table entry says. */
export type CelFunction = (first: Value, second: Value, third: Value) => Value;

const textOf = (value: Value, method: string): string => (typeof value === 'string' ? value : noOverload(method, value));

const indexOf = (value: Value, method: string): number =>
  typeof value === 'bigint' || (typeof value === 'number' && Number.isInteger(value)) ? Number(value) : noOverload(method, value);

/** Of a text in Unicode code points. */
const size = (value: Value): bigint => {
  if (typeof value === 'string') {
    payForText(value.length);
    return BigInt(value.length - surrogatePairs(value));
  }
  if (isList(value)) return BigInt(value.length);
  if (!isMembers(value)) return noOverload('size', value);
  const { length } = Object.keys(value);
  pay(stepsForNames(length));
  return BigInt(length);
};

const surrogatePairs = (text: string): number => {
  let pairs = 0;
  for (let at = 1; at < text.length; at += 1) {
    if ((text.charCodeAt(at) & 0xfc00) === 0xdc00 && (text.charCodeAt(at - 1) & 0xfc00) === 0xd800) pairs += 1;
  }
  return pairs;
};

const RFC3339 = /^\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:[Zz]|[+-]\d\d:\d\d)$/;

const toTimestamp = (value: Value): Date => {
  if (value instanceof Date) return value;
  if (typeof value === 'bigint' || typeof value === 'number') return timestamp(Number(value) * 1000);
  if (typeof value !== 'string') return noOverload('timestamp', value);
  return timestamp(RFC3339.test(value) ? Date.parse(value) : Number.NaN);
};

const UNIT_MS: Readonly<Record<string, number>> = { h: 3_600_000, m: 60_000, s: 1_000, ms: 1, us: 1e-3, ns: 1e-6 };
/** At most eight terms: more than there are units, and no more than takes a step. */
const DURATION = /^([+-]?)((?:\d{1,12}(?:\.\d{1,9})?(?:h|ms|m|s|us|ns)){1,8})$/;

const toDuration = (value: Value): Duration => {
  if (value instanceof Duration) return value;
  const [, sign, terms] = DURATION.exec(textOf(value, 'duration')) ?? [];
  if (terms === undefined) throw new EvaluationFailed('not a duration like "1h30m"');
  let milliseconds = 0;
  for (const [, count, unit] of terms.matchAll(/([\d.]+)([a-z]+)/g)) milliseconds += Number(count) * (UNIT_MS[unit ?? ''] ?? 0);
  return duration(sign === '-' ? -milliseconds : milliseconds);
};

const toInt = (value: Value): bigint => {
  if (typeof value === 'bigint') return value;
  // -2^63 itself is what greater losses were rounded to: CEL takes neither end.
  if (typeof value === 'number' && Math.abs(value) < 2 ** 63) return BigInt(Math.trunc(value));
  if (typeof value === 'number') throw new EvaluationFailed(`${value} does not fit into 64 bits`);
  if (typeof value === 'string' && /^[+-]?\d{1,19}$/.test(value)) return int(BigInt(value.replace('+', '')));
  if (value instanceof Date) return BigInt(Math.floor(value.getTime() / 1000));
  return noOverload('int', value);
};

const NOT_FINITE = /^(?:nan|[+-]?inf(?:inity)?)$/i;

const toDouble = (value: Value): number => {
  if (typeof value === 'number') return value;
  if (typeof value === 'bigint') return Number(value);
  if (typeof value === 'string' && NOT_FINITE.test(value)) return Number(value.replace(/inf(?:inity)?/i, 'Infinity'));
  if (typeof value === 'string' && /^[+-]?(?:\d{1,400}(?:\.\d{0,400})?|\.\d{1,400})(?:[eE][+-]?\d{1,4})?$/.test(value)) return Number(value);
  return noOverload('double', value);
};

const toText = (value: Value): string => {
  switch (typeof value) {
    case 'string':
      return value;
    case 'number':
    case 'bigint':
    case 'boolean':
      return String(value);
    default:
      if (value instanceof Date) return timestampText(value);
      return value instanceof Duration ? value.toString() : noOverload('string', value);
  }
};

const TRUE = new Set(['true', 'True', 'TRUE', 't', '1']);
const FALSE = new Set(['false', 'False', 'FALSE', 'f', '0']);

const toBool = (value: Value): boolean => {
  if (typeof value === 'boolean') return value;
  if (typeof value !== 'string') return noOverload('bool', value);
  if (TRUE.has(value)) return true;
  if (FALSE.has(value)) return false;
  throw new EvaluationFailed('not a bool like "true" or "false"');
};

const typeOf = (value: Value): Value => CelType.named(typeName(value)) ?? null;

const request = (body: Value, headers: Value): RequestParts => (isMembers(headers) ? new RequestParts(body, headers) : noOverload('request', body, headers));

/** What only a transform knows. */
export const transformFunctions: Readonly<Record<string, CelFunction>> = { 'request/2': request };

/** By name and number of arguments. */
export const functions: Readonly<Record<string, CelFunction>> = {
  'size/1': size,
  'int/1': toInt,
  'double/1': toDouble,
  'string/1': toText,
  'bool/1': toBool,
  'timestamp/1': toTimestamp,
  'duration/1': toDuration,
  'type/1': typeOf,
  'dyn/1': (value) => value,
};

/** A method on two texts. */
const onTexts =
  (method: string, apply: (text: string, argument: string) => Value): CelFunction =>
  (self, argument) => {
    const text = textOf(self, method);
    payForText(text.length);
    return apply(text, textOf(argument, method));
  };

const onText =
  (method: string, apply: (text: string) => Value): CelFunction =>
  (self) => {
    const text = textOf(self, method);
    payForText(text.length);
    return apply(text);
  };

/** Unicode's White_Space, which is not quite what JavaScript's own `trim` takes for it. */
const isSpace = (code: number): boolean =>
  code === 0x20 ||
  (code >= 0x09 && code <= 0x0d) ||
  (code >= 0x80 && (code === 0x85 || code === 0xa0 || code === 0x1680 || (code >= 0x2000 && code <= 0x200a) || OTHER_SPACES.has(code)));
const OTHER_SPACES: ReadonlySet<number> = new Set([0x2028, 0x2029, 0x202f, 0x205f, 0x3000]);

const trim = (text: string): string => {
  let from = 0;
  let to = text.length;
  while (from < to && isSpace(text.charCodeAt(from))) from += 1;
  while (to > from && isSpace(text.charCodeAt(to - 1))) to -= 1;
  return text.slice(from, to);
};

const BEYOND_ASCII = /[^\0-\x7f]/;

/** Replacing run by run would take as many calls as there are runs, which may be every other character. */
const otherCase = (text: string, first: number, last: number, distance: number): string => {
  const units = Buffer.from(text, 'utf16le');
  for (let at = 0; at < units.length; at += 2) {
    const unit = units.readUInt16LE(at);
    if (unit >= first && unit <= last) units.writeUInt16LE(unit + distance, at);
  }
  return units.toString('utf16le');
};
const lowerAscii = (text: string): string => (BEYOND_ASCII.test(text) ? otherCase(text, 0x41, 0x5a, 0x20) : text.toLowerCase());
const upperAscii = (text: string): string => (BEYOND_ASCII.test(text) ? otherCase(text, 0x61, 0x7a, -0x20) : text.toUpperCase());

const HALVES = /[\uD800-\uDFFF]/;

/** A text by its code points, which is what CEL counts; where each has one unit, the text itself will do. */
const codePoints = (text: string): string | readonly string[] => {
  if (!HALVES.test(text)) return text;
  pay(text.length);
  return Array.from(text);
};

const substring = (self: Value, from: Value, to?: Value): string => {
  const text = textOf(self, 'substring');
  payForText(text.length);
  const points = codePoints(text);
  const start = indexOf(from, 'substring');
  const end = to === undefined ? points.length : indexOf(to, 'substring');
  if (start < 0 || end > points.length || start > end) throw new EvaluationFailed(`substring(${start}, ${end}) of a text of ${points.length}`);
  const part = points.slice(start, end);
  return typeof part === 'string' ? part : part.join('');
};

const split = onTexts('split', (text, separator) => {
  // Every character may become an item of its own.
  pay(text.length);
  return separator === '' ? Array.from(text) : text.split(separator);
});

const join = (self: Value, separator: Value): string => {
  if (!isList(self)) return noOverload('join', self);
  const between = textOf(separator, 'join');
  const texts = self.map((item) => {
    const text = textOf(item, 'join');
    payForText(text.length + between.length);
    return text;
  });
  return texts.join(between);
};

const replace = (self: Value, what: Value, by: Value): string => {
  const parts = textOf(self, 'replace');
  const replacement = textOf(by, 'replace');
  const pieces = split(parts, what, null);
  const text = join(pieces, replacement);
  // Nothing stands between any two characters, before the first and behind the last.
  return what === '' ? replacement + text + replacement : text;
};

const onTime =
  (method: string, ofTimestamp: (time: Date) => number, ofDuration?: (milliseconds: number) => number): CelFunction =>
  (self) => {
    if (self instanceof Date) return BigInt(ofTimestamp(self));
    if (self instanceof Duration && ofDuration) return BigInt(Math.trunc(ofDuration(self.milliseconds)));
    return noOverload(method, self);
  };

const DAY_MS = 86_400_000;

/** By name and number of arguments, the receiver not counted. Timestamps are read in UTC. */
export const methods: Readonly<Record<string, CelFunction>> = {
  'size/0': size,
  'startsWith/1': onTexts('startsWith', (text, start) => text.startsWith(start)),
  'endsWith/1': onTexts('endsWith', (text, end) => text.endsWith(end)),
  'contains/1': onTexts('contains', (text, part) => {
    pay(stepsToFind(text.length, part.length));
    return text.includes(part);
  }),
  'indexOf/1': onTexts('indexOf', (text, part) => {
    pay(stepsToFind(text.length, part.length));
    const at = text.indexOf(part);
    return BigInt(at < 0 ? at : codePoints(text.slice(0, at)).length);
  }),
  'lowerAscii/0': onText('lowerAscii', lowerAscii),
  'upperAscii/0': onText('upperAscii', upperAscii),
  'trim/0': onText('trim', trim),
  'substring/1': (self, from) => substring(self, from),
  'substring/2': substring,
  'split/1': split,
  'join/0': (self) => join(self, ''),
  'join/1': join,
  'replace/2': replace,
  'getFullYear/0': onTime('getFullYear', (time) => time.getUTCFullYear()),
  'getMonth/0': onTime('getMonth', (time) => time.getUTCMonth()),
  'getDate/0': onTime('getDate', (time) => time.getUTCDate()),
  'getDayOfMonth/0': onTime('getDayOfMonth', (time) => time.getUTCDate() - 1),
  'getDayOfWeek/0': onTime('getDayOfWeek', (time) => time.getUTCDay()),
  'getDayOfYear/0': onTime('getDayOfYear', (time) => Math.floor((time.getTime() - Date.UTC(time.getUTCFullYear(), 0)) / DAY_MS)),
  'getHours/0': onTime('getHours', (time) => time.getUTCHours(), (ms) => ms / 3_600_000),
  'getMinutes/0': onTime('getMinutes', (time) => time.getUTCMinutes(), (ms) => ms / 60_000),
  'getSeconds/0': onTime('getSeconds', (time) => time.getUTCSeconds(), (ms) => ms / 1_000),
  'getMilliseconds/0': onTime('getMilliseconds', (time) => time.getUTCMilliseconds(), (ms) => ms),
};
