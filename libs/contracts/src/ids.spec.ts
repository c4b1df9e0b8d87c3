import { describe, expect, it } from '@jest/globals';
import { deliveryId, eventIdOfRecord, newId, rejectionIdOfRecord } from './ids.js';

describe('a new id', () => {
  it('is unique, also among those of one millisecond', () => {
    expect(new Set(Array.from({ length: 1_000 }, () => newId('evt', 1))).size).toBe(1_000);
  });

  it('sorts by age', () => {
    const ids = [1, 2_000, 1_800_000_000_000, 4_000_000_000_000].map((ms) => newId('sub', ms));
    expect(ids.toSorted()).toEqual(ids);
    for (const id of ids) expect(id).toMatch(/^sub_[0-9a-f]{32}$/);
  });
});

describe('a derived id', () => {
  it('comes out the same whoever computes it', () => {
    expect(deliveryId('default', 'e1', 'sub_1')).toBe(deliveryId('default', 'e1', 'sub_1'));
    expect(eventIdOfRecord('t', 0, '7', 1)).toBe(eventIdOfRecord('t', 0, '7', 1));
    expect(rejectionIdOfRecord('t', 0, '7', 1)).toBe(rejectionIdOfRecord('t', 0, '7', 1));
  });

  it('differs with each of its parts, and with where one ends and the next begins', () => {
    const ids = [
      deliveryId('a', 'bc', 'd'),
      deliveryId('ab', 'c', 'd'),
      deliveryId('a', 'b', 'cd'),
      deliveryId('a', 'bc', 'e'),
      eventIdOfRecord('t', 0, '7', 1),
      eventIdOfRecord('t', 1, '7', 1),
      eventIdOfRecord('t', 0, '71', 1),
      eventIdOfRecord('t', 0, '7', 11),
      rejectionIdOfRecord('t', 0, '7', 1),
      rejectionIdOfRecord('t', 1, '7', 1),
      rejectionIdOfRecord('t', 0, '8', 1),
      rejectionIdOfRecord('t', 0, '7', 2),
    ];
    expect(new Set(ids).size).toBe(ids.length);
  });
});
