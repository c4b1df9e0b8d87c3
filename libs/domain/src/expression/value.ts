/**
 * What an expression computes with. JSON values are themselves: a number of the data is a double, whole or not. Whole numbers written in
 * an expression are 64-bit ints, as CEL has them, here bigints.
 */
export type Value = null | boolean | number | bigint | string | Date | Duration | CelType | RequestParts | List | Members;
export type List = readonly Value[];
/** A CEL map with string keys: a JSON object. */
export type Members = { readonly [name: string]: Value };

export class Duration {
  constructor(readonly milliseconds: number) {}

  /** As protobuf's JSON writes it, `90s` or `1.5s`. */
  toString(): string {
    return `${this.milliseconds / 1000}s`;
  }
}

/** What `request(body, headers)` makes: the whole result of a transform, and nothing that can be computed with. */
export class RequestParts {
  constructor(
    readonly body: Value,
    readonly headers: Members,
  ) {}
}

/** The value of `type(x)`, and of a type's name. */
export class CelType {
  private constructor(readonly name: string) {}

  private static readonly all = new Map(
    ['null_type', 'bool', 'int', 'double', 'string', 'timestamp', 'duration', 'list', 'map', 'type'].map((name) => [name, new CelType(name)]),
  );

  static named(name: string): CelType | undefined {
    return CelType.all.get(name);
  }
}

export const isList = (value: Value): value is List => Array.isArray(value);

const isOpaque = (value: object): boolean => value instanceof Date || value instanceof Duration || value instanceof CelType || value instanceof RequestParts;

export const isMembers = (value: Value): value is Members => typeof value === 'object' && value !== null && !Array.isArray(value) && !isOpaque(value);

/** As protobuf's JSON writes it: without a fraction when there is none. */
export const timestampText = (time: Date): string => time.toISOString().replace('.000Z', 'Z');

/** The name of a value's type, as CEL calls it and messages do. */
export const typeName = (value: Value): string => {
  switch (typeof value) {
    case 'boolean':
      return 'bool';
    case 'number':
      return 'double';
    case 'bigint':
      return 'int';
    case 'string':
      return 'string';
    default:
      if (value === null) return 'null_type';
      if (value instanceof Date) return 'timestamp';
      if (value instanceof Duration) return 'duration';
      if (value instanceof CelType) return 'type';
      if (value instanceof RequestParts) return 'request';
      return isList(value) ? 'list' : 'map';
  }
};

/** An own member; what JSON objects inherit in JavaScript is not there. */
export const memberOf = (members: Members, name: string): Value | undefined => (Object.hasOwn(members, name) ? members[name] : undefined);
