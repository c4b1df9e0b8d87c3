import { describe, expect, it } from '@jest/globals';
import { heldBytes } from '@posthorn/testkit';
import { Fifo } from './fifo.js';

const emptied = (): Fifo<number> => {
  const queue = new Fifo<number>();
  for (let n = 0; n < 1_000; n += 1) queue.push(n);
  while (queue.length > 0) queue.shift();
  return queue;
};

describe('a queue', () => {
  it('gives what it has been given, in that order', () => {
    const queue = new Fifo<number>();
    const given: number[] = [];
    const taken: (number | undefined)[] = [];
    for (let n = 0; n < 10_000; n += 1) {
      queue.push(n);
      given.push(n);
      if (n % 3 > 0) taken.push(queue.shift());
      expect(queue.peek()).toBe(taken.length);
    }
    expect(queue.toArray()).toEqual(given.slice(taken.length));
    while (queue.length > 0) taken.push(queue.shift());
    expect([taken, queue.shift(), queue.peek()]).toEqual([given, undefined, undefined]);
  });

  it('takes no room for what it had once', () => {
    const before = heldBytes();
    const queues = Array.from({ length: 10_000 }, emptied);
    expect((heldBytes() - before) / queues.length).toBeLessThan(1_000);
  });
});
