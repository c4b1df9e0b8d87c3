import { describe, expect, it } from '@jest/globals';
import { Batch } from './batch.js';

const limits = { rows: 10, bytes: 1_000, ageMs: 15 };
const item = (rows: number, bytes = 1) => ({ rows, bytes });

describe('a batch', () => {
  it('that is empty is never due', () => {
    expect(new Batch(limits).dueInMs(0)).toBeUndefined();
  });

  it('is due a moment after its first item, later ones do not put it off', () => {
    const batch = new Batch(limits);
    batch.add(item(1), 100);
    batch.add(item(1), 110);
    expect([batch.dueInMs(110), batch.dueInMs(115), batch.dueInMs(999)]).toEqual([5, 0, 0]);
  });

  it.each([
    ['rows', item(10)],
    ['bytes', item(1, 1_000)],
  ])('is due at once when it has enough %s', (_, one) => {
    const batch = new Batch(limits);
    batch.add(one, 100);
    expect(batch.dueInMs(100)).toBe(0);
  });

  it('gives out the oldest up to the limit, and times the rest from its own first', () => {
    const batch = new Batch(limits);
    const items = [item(6), item(6), item(6)];
    items.forEach((one, index) => batch.add(one, index * 10));
    expect(batch.take()).toEqual(items.slice(0, 2));
    expect(batch.dueInMs(20)).toBe(15);
    expect(batch.take()).toEqual(items.slice(2));
    expect(batch.dueInMs(20)).toBeUndefined();
  });

  it('gives out one item that is over the limit by itself', () => {
    const batch = new Batch(limits);
    batch.add(item(500), 0);
    batch.add(item(1), 0);
    expect(batch.take()).toEqual([item(500)]);
  });

  it('takes a record without rows along, so that it is completed too', () => {
    const batch = new Batch(limits);
    batch.add(item(0), 0);
    expect(batch.dueInMs(15)).toBe(0);
    expect(batch.take()).toEqual([item(0)]);
  });
});
