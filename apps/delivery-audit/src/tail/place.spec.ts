import { describe, expect, it } from '@jest/globals';
import { placeOf, placeText, type Place } from './place.js';

describe('a place', () => {
  it.each<[string, Place]>([
    ['0', new Map([[0, { offset: 0, told: 0 }]])],
    ['2s.0.1f~3', new Map([[0, { offset: 100, told: 0 }], [1, { offset: 0, told: 0 }], [2, { offset: 51, told: 3 }]])],
  ])('%s goes there and comes back', (text, place) => {
    expect(placeText(place)).toBe(text);
    expect(placeOf(text)).toEqual(place);
  });

  it('is the same whatever was read first', () => {
    expect(placeText(new Map([[1, { offset: 2, told: 0 }], [0, { offset: 1, told: 0 }]]))).toBe('1.2');
  });

  it.each(['', '.', '1.', '1..2', '-1', '1~', '~1', '1~~2', 'A', '1 2', 'zzzzzzzzzzz', '1~zzzzz', `1${'.1'.repeat(5_000)}`])('is not %j', (text) => {
    expect(placeOf(text)).toBeUndefined();
  });
});
