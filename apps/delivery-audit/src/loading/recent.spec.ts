import { hash } from 'node:crypto';
import { expect, it } from '@jest/globals';
import { Recent } from './recent.js';

it('remembers at least so many of the last, and at most twice as many', () => {
  const recent = new Recent(3);
  for (const key of ['a', 'b', 'c', 'd', 'e', 'f', 'g']) recent.add(key);
  expect(['a', 'b', 'c', 'd', 'e', 'f', 'g'].filter((key) => recent.has(key))).toEqual(['d', 'e', 'f', 'g']);
});

it('tells ids from each other, however many it has seen', () => {
  const recent = new Recent(1_000);
  const ids = Array.from({ length: 10_000 }, (_, n) => hash('md5', String(n), 'hex'));
  for (const id of ids) recent.add(id);
  expect(ids.slice(-1_000).every((id) => recent.has(id))).toBe(true);
  expect(ids.slice(0, -2_000).filter((id) => recent.has(id))).toEqual([]);
});

it('counts what is added again once', () => {
  const recent = new Recent(3);
  for (const id of ['a', 'b', 'b', 'b', 'c']) recent.add(id);
  expect(['a', 'b', 'c'].every((id) => recent.has(id))).toBe(true);
  for (const id of ['d', 'd', 'd', 'e']) recent.add(id);
  expect(['a', 'b', 'c'].every((id) => recent.has(id))).toBe(true);
});
