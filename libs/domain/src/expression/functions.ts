import { EvaluationFailed, pay, payForText } from './meter.js';
import { int, noOverload, timestamp } from './operators.js';
import { CelType, Duration, isList, isMembers, typeName, type Value } from './value.js';

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
  pay(length);
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
const DURATION = /^([+-]?)((?:\d{1,12}(?:\.\d{1,9})?(?:h|ms|m|s|us|ns))+)$/;

const toDuration = (value: Value): Duration => {
  if (value instanceof Duration) return value;
  const [, sign, terms] = DURATION.exec(textOf(value, 'duration')) ?? [];
  if (terms === undefined) throw new EvaluationFailed('not a duration like "1h30m"');
  let milliseconds = 0;
  for (const [, count, unit] of terms.matchAll(/([\d.]+)([a-z]+)/g)) milliseconds += Number(count) * (UNIT_MS[unit ?? ''] ?? 0);
  return new Duration(sign === '-' ? -milliseconds : milliseconds);
};

const toInt = (value: Value): bigint => {
  if (typeof value === 'bigint') return value;
  if (typeof value === 'number' && Number.isFinite(value)) return int(BigInt(Math.trunc(value)));
  if (typeof value === 'string' && /^[+-]?\d{1,19}$/.test(value)) return int(BigInt(value.replace('+', '')));
  if (value instanceof Date) return BigInt(Math.floor(value.getTime() / 1000));
  return noOverload('int', value);
};

const toDouble = (value: Value): number => {
  if (typeof value === 'number') return value;
  if (typeof value === 'bigint') return Number(value);
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
      if (value instanceof Date) return value.toISOString();
      return value instanceof Duration ? value.toString() : noOverload('string', value);
  }
};

const toBool = (value: Value): boolean => {
  if (typeof value === 'boolean') return value;
  if (value === 'true' || value === 'false') return value === 'true';
  return noOverload('bool', value);
};

const typeOf = (value: Value): Value => CelType.named(typeName(value)) ?? null;

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

const substring = (self: Value, from: Value, to: Value): string => {
  const text = textOf(self, 'substring');
  payForText(text.length);
  const start = indexOf(from, 'substring');
  const end = indexOf(to, 'substring');
  if (start < 0 || end > text.length || start > end) throw new EvaluationFailed(`substring(${start}, ${end}) of a text of ${text.length}`);
  return text.slice(start, end);
};

const split = onTexts('split', (text, separator) => {
  // Every character may become an item of its own.
  pay(text.length);
  return text.split(separator);
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
  return join(pieces, replacement);
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
    // Text and part may be made such that nearly all of one is compared at each place of the other.
    payForText(text.length * Math.min(part.length, 16));
    return text.includes(part);
  }),
  'indexOf/1': onTexts('indexOf', (text, part) => {
    payForText(text.length * Math.min(part.length, 16));
    return BigInt(text.indexOf(part));
  }),
  'lowerAscii/0': onText('lowerAscii', (text) => text.replace(/[A-Z]+/g, (letters) => letters.toLowerCase())),
  'upperAscii/0': onText('upperAscii', (text) => text.replace(/[a-z]+/g, (letters) => letters.toUpperCase())),
  'trim/0': onText('trim', (text) => text.trim()),
  'substring/1': (self, from) => substring(self, from, BigInt(textOf(self, 'substring').length)),
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
