import { pathText } from '@posthorn/contracts';
import { Problem, type FieldError } from '@posthorn/service-kit';

/** PostgreSQL's jsonb takes neither U+0000 nor half of a surrogate pair (PostgreSQL manual, 8.14). */
const UNSTORABLE = /[\0\p{Surrogate}]/u;

const unstorable = (value: unknown, path: readonly (string | number)[]): readonly FieldError[] => {
  if (typeof value === 'string') {
    return UNSTORABLE.test(value) ? [{ path: pathText(path), message: 'contains U+0000 or half of a surrogate pair' }] : [];
  }
  // JSON.parse makes infinity of `1e400`, and JSON.stringify null of that; protobuf knows more such numbers.
  if (typeof value === 'number' && !Number.isFinite(value)) return [{ path: pathText(path), message: 'JSON has no such number' }];
  if (Array.isArray(value)) return value.flatMap((item, index) => unstorable(item, [...path, index]));
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([name, member]) => [...unstorable(name, [...path, name]), ...unstorable(member, [...path, name])]);
};

/** @throws {Problem} `invalid` when a text or a number in it cannot be stored */
export const refuseUnstorable = <T>(body: T): T => {
  const errors = unstorable(body, []);
  if (errors.length > 0) throw new Problem('invalid', 'It holds what cannot be stored.', { errors });
  return body;
};
