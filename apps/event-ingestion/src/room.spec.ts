import { describe, expect, it } from '@jest/globals';
import { Room } from './room.js';

const LONG_MS = 60_000;

/** Asks for room, and tells in `entered` when there is. */
const asking = (room: Room, entered: string[]) => async (name: string, bytes: number) => {
  const place = await room.enter(bytes, LONG_MS);
  entered.push(name);
  return place;
};

const settled = (): Promise<void> => new Promise((resolve) => void setImmediate(resolve));

describe('a room', () => {
  it('lets in whoever fits, and the others in their order', async () => {
    const entered: string[] = [];
    const ask = asking(new Room(100), entered);
    const first = await ask('first', 60);
    const second = ask('second', 50);
    const third = ask('third', 10);
    await settled();
    expect(entered).toEqual(['first']);
    first?.leave();
    await Promise.all([second, third]);
    expect(entered).toEqual(['first', 'second', 'third']);
  });

  it('has again what is given back, and once', async () => {
    const entered: string[] = [];
    const ask = asking(new Room(100), entered);
    const first = await ask('first', 100);
    first?.shrinkTo(40);
    await ask('second', 60);
    first?.leave();
    first?.leave();
    const third = await ask('third', 40);
    const fourth = ask('fourth', 1);
    await settled();
    expect(entered).toEqual(['first', 'second', 'third']);
    third?.leave();
    expect(await fourth).toBeDefined();
  });

  it('tells who waits too long, and does not keep a place for them', async () => {
    const room = new Room(100);
    const first = await room.enter(60, LONG_MS);
    const large = room.enter(50, 10);
    const small = room.enter(40, LONG_MS);
    expect(await large).toBeUndefined();
    expect(first?.waitedMs).toBe(0);
    expect(await small).toBeDefined();
    first?.leave();
    expect(await room.enter(60, 0)).toBeDefined();
  });

  it('tells how long it was waited for', async () => {
    const room = new Room(100);
    const first = await room.enter(100, 0);
    const earliestMs = performance.now();
    const second = room.enter(100, LONG_MS);
    const latestMs = performance.now();
    await new Promise((resolve) => void setTimeout(resolve, 10));
    const leftMs = performance.now();
    first?.leave();
    const waitedMs = (await second)?.waitedMs;
    expect(waitedMs).toBeGreaterThanOrEqual(leftMs - latestMs);
    expect(waitedMs).toBeLessThanOrEqual(performance.now() - earliestMs);
  });

  it('is had alone by who wants more than there is', async () => {
    const room = new Room(100);
    const large = await room.enter(1_000, 0);
    expect(large).toBeDefined();
    expect(await room.enter(1, 1)).toBeUndefined();
    large?.leave();
    expect(await room.enter(100, 1)).toBeDefined();
  });
});
