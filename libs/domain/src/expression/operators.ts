import { COMPARED_AT_ONCE, EvaluationFailed, pay, payForText, stepsForNames } from './meter.js';
import { CelType, Duration, isList, isMembers, memberOf, RequestParts, typeName, type Value } from './value.js';

/** @throws {EvaluationFailed} */
export const noOverload = (operation: string, ...operands: readonly Value[]): never => {
  throw new EvaluationFailed(`${operation} is not defined for ${operands.map(typeName).join(' and ')}`);
};

const isNumber = (value: Value): value is number | bigint => typeof value === 'number' || typeof value === 'bigint';

/** Values of different types are unequal, but for numbers, which are compared as numbers. */
export const equals = (a: Value, b: Value): boolean => {
  if (typeof a === 'string') {
    if (typeof b !== 'string' || a.length !== b.length) return false;
    payForComparing(a.length);
    return a === b;
  }
  if (a === b) return true;
  if (isNumber(a)) return typeof a !== typeof b && isNumber(b) && Number(a) === Number(b) && exactlyEqual(a, b);
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return false;
  if (a instanceof Date) return b instanceof Date && a.getTime() === b.getTime();
  if (a instanceof Duration) return b instanceof Duration && a.milliseconds === b.milliseconds;
  if (a instanceof CelType || a instanceof RequestParts) return false;
  if (isList(a)) {
    if (!isList(b) || a.length !== b.length) return false;
    pay(a.length);
    return a.every((item, index) => equals(item, b[index] ?? null));
  }
  if (!isMembers(b)) return false;
  const names = Object.keys(a);
  const others = Object.keys(b).length;
  pay(stepsForNames(Math.max(names.length, others)));
  if (names.length !== others) return false;
  pay(names.length);
  return names.every((name) => {
    const other = memberOf(b, name);
    return other !== undefined && equals(a[name] ?? null, other);
  });
};

const payForComparing = (characters: number): void => {
  if (characters > COMPARED_AT_ONCE) payForText(characters);
};

/** An int beyond 2^53 must not equal the double it would be rounded to. */
const exactlyEqual = (a: number | bigint, b: number | bigint): boolean => !(a < b) && !(a > b);

export type Comparison = '<' | '<=' | '>' | '>=';

export const compare = (operator: Comparison, a: Value, b: Value): boolean => {
  if (isNumber(a) && isNumber(b)) return ordered(operator, a, b);
  if (typeof a === 'string' && typeof b === 'string') {
    payForComparing(Math.min(a.length, b.length));
    return ordered(operator, differenceOf(a, b), 0);
  }
  if (typeof a === 'boolean' && typeof b === 'boolean') return ordered(operator, Number(a), Number(b));
  if (a instanceof Date && b instanceof Date) return ordered(operator, a.getTime(), b.getTime());
  if (a instanceof Duration && b instanceof Duration) return ordered(operator, a.milliseconds, b.milliseconds);
  return noOverload(operator, a, b);
};

/** By code points, as CEL orders texts; JavaScript's own order is that of UTF-16, in which half a pair comes before what it is greater than. */
const differenceOf = (a: string, b: string): number => {
  const shared = Math.min(a.length, b.length);
  for (let at = 0; at < shared; at += 1) {
    const x = a.charCodeAt(at);
    const y = b.charCodeAt(at);
    if (x !== y) return isHalf(x) === isHalf(y) ? x - y : Number(isHalf(x)) - Number(isHalf(y));
  }
  return a.length - b.length;
};

/** Of a pair that stands for a code point beyond U+FFFF. */
const isHalf = (unit: number): boolean => (unit & 0xf800) === 0xd800;

const ordered = <T extends string | number | bigint>(operator: Comparison, a: T, b: T): boolean => {
  switch (operator) {
    case '<':
      return a < b;
    case '<=':
      return a <= b;
    case '>':
      return a > b;
    case '>=':
      return a >= b;
  }
};

export const isIn = (value: Value, collection: Value): boolean => {
  if (isList(collection)) {
    pay(collection.length);
    return collection.some((item) => equals(value, item));
  }
  if (isMembers(collection)) return typeof value === 'string' && Object.hasOwn(collection, value);
  return noOverload('in', value, collection);
};

const INT_MIN = -(2n ** 63n);
const INT_MAX = 2n ** 63n - 1n;

/** @throws {EvaluationFailed} outside of 64 bits */
export const int = (value: bigint): bigint => {
  if (value < INT_MIN || value > INT_MAX) throw new EvaluationFailed('the number does not fit into 64 bits');
  return value;
};

/** @throws {EvaluationFailed} outside of the years 1 to 9999 */
export const timestamp = (milliseconds: number): Date => {
  if (milliseconds >= -62_135_596_800_000 && milliseconds <= 253_402_300_799_999) return new Date(milliseconds);
  throw new EvaluationFailed('not a timestamp between the years 1 and 9999');
};

/** protobuf's bounds, ten thousand years either way. @throws {EvaluationFailed} beyond them */
export const duration = (milliseconds: number): Duration => {
  if (Math.abs(milliseconds) <= 315_576_000_000_000) return new Duration(milliseconds);
  throw new EvaluationFailed('the duration is longer than 10000 years');
};

export const add = (a: Value, b: Value): Value => {
  if (typeof a === 'string' && typeof b === 'string') {
    payForText(a.length + b.length);
    return a + b;
  }
  if (isList(a) && isList(b)) {
    pay(a.length + b.length);
    return [...a, ...b];
  }
  if (a instanceof Duration && b instanceof Duration) return duration(a.milliseconds + b.milliseconds);
  if (a instanceof Date && b instanceof Duration) return timestamp(a.getTime() + b.milliseconds);
  if (a instanceof Duration && b instanceof Date) return timestamp(a.milliseconds + b.getTime());
  return arithmetic('+', a, b);
};

export const subtract = (a: Value, b: Value): Value => {
  if (a instanceof Date && b instanceof Date) return new Duration(a.getTime() - b.getTime());
  if (a instanceof Date && b instanceof Duration) return timestamp(a.getTime() - b.milliseconds);
  if (a instanceof Duration && b instanceof Duration) return duration(a.milliseconds - b.milliseconds);
  return arithmetic('-', a, b);
};

export type Arithmetic = '+' | '-' | '*' | '/' | '%';

/**
 * Ints with ints as CEL has it. Where one operand is a double the other becomes one: CEL knows no such mixture, but JSON does not
 * tell 2 from 2.0, and `data.total * 2` has to mean something.
 */
export const arithmetic = (operator: Arithmetic, a: Value, b: Value): Value => {
  if (typeof a === 'bigint' && typeof b === 'bigint') return int(ofInts(operator, a, b));
  if (isNumber(a) && isNumber(b)) return ofDoubles(operator, Number(a), Number(b));
  return noOverload(operator, a, b);
};

const ofInts = (operator: Arithmetic, a: bigint, b: bigint): bigint => {
  if (b === 0n && (operator === '/' || operator === '%')) throw new EvaluationFailed('division by zero');
  switch (operator) {
    case '+':
      return a + b;
    case '-':
      return a - b;
    case '*':
      return a * b;
    case '/':
      return a / b;
    case '%':
      return a % b;
  }
};

const ofDoubles = (operator: Arithmetic, a: number, b: number): number => {
  switch (operator) {
    case '+':
      return a + b;
    case '-':
      return a - b;
    case '*':
      return a * b;
    case '/':
      return a / b;
    case '%':
      return a % b;
  }
};

export const negate = (value: Value): Value => {
  if (typeof value === 'number') return -value;
  return typeof value === 'bigint' ? int(-value) : noOverload('-', value);
};

/** Of a name in a message, which goes into records: the name may come from the event, and be a megabyte. */
const SHOWN_NAME = 128;

/** `a.name`: a map's member. */
export const member = (value: Value, name: string): Value => {
  if (!isMembers(value)) return noOverload(`the member "${name.slice(0, SHOWN_NAME)}"`, value);
  const found = memberOf(value, name);
  if (found === undefined) throw new EvaluationFailed(`there is no member "${name.slice(0, SHOWN_NAME)}"`);
  return found;
};

/** `a[b]`: a list's item or a map's member. */
export const item = (value: Value, index: Value): Value => {
  if (!isList(value)) return typeof index === 'string' ? member(value, index) : noOverload('[]', value, index);
  const found = isNumber(index) ? value[Number(index)] : noOverload('[]', value, index);
  if (found === undefined) throw new EvaluationFailed(`there is no item ${String(index)} in a list of ${value.length}`);
  return found;
};
