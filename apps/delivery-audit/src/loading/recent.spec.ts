import { expect, it } from '@jest/globals';
import { Recent } from './recent.js';

it('remembers at least so many of the last, and at most twice as many', () => {
  const recent = new Recent(3);
  for (const key of ['a', 'b', 'c', 'd', 'e', 'f', 'g']) recent.add(key);
  expect(['a', 'b', 'c', 'd', 'e', 'f', 'g'].filter((key) => recent.has(key))).toEqual(['d', 'e', 'f', 'g']);
});
