import { once } from 'node:events';
import { describe, expect, it, jest } from '@jest/globals';
import { streamOf } from './stream.js';

type Log = { made: number; cleaned: boolean };

const parts = async function* (count: number, log: Log, failAt = Number.POSITIVE_INFINITY): AsyncGenerator<Buffer, void> {
  try {
    for (; log.made < count; log.made++) {
      if (log.made === failAt) throw new Error('away');
      yield Buffer.alloc(100_000, 1);
    }
  } finally {
    log.cleaned = true;
  }
};

describe('a stream of parts', () => {
  it('is all of them', async () => {
    const log = { made: 0, cleaned: false };
    let bytes = 0;
    for await (const chunk of streamOf(parts(50, log))) bytes += (chunk as Buffer).length;
    expect([bytes, log.cleaned]).toEqual([5_000_000, true]);
  });

  it('makes no more than one part ahead of its reader', async () => {
    const log = { made: 0, cleaned: false };
    const stream = streamOf(parts(50, log));
    for (let read = 1; read <= 5; read++) {
      if (stream.readableLength === 0) await once(stream, 'readable');
      stream.read(100_000);
      expect(log.made).toBeLessThanOrEqual(read + 1);
    }
    stream.destroy();
    await once(stream, 'close');
  });

  it('cleans up when it is closed in the middle', async () => {
    const log = { made: 0, cleaned: false };
    const stream = streamOf(parts(50, log));
    await once(stream, 'readable');
    stream.destroy();
    await once(stream, 'close');
    expect(log).toEqual({ made: expect.any(Number), cleaned: true });
    expect(log.made).toBeLessThan(3);
  });

  it('breaks off with what goes wrong, so that its reader does not take it for whole', async () => {
    const log = { made: 0, cleaned: false };
    await expect(Array.fromAsync(streamOf(parts(50, log, 3)))).rejects.toThrow('away');
    expect(log.cleaned).toBe(true);
  });

  it('breaks off when nobody reads', async () => {
    const log = { made: 0, cleaned: false };
    const stream = streamOf(parts(50, log), 20);
    const failed = once(stream, 'error');
    await once(stream, 'readable');
    expect(await failed).toEqual([expect.objectContaining({ message: 'nobody has read for a while' })]);
    expect(log.cleaned).toBe(true);
  });

  it('goes on for who reads slowly, however large a part is', async () => {
    jest.useFakeTimers({ doNotFake: ['nextTick', 'queueMicrotask', 'setImmediate'] });
    const part = Buffer.alloc(1_000_000, 1);
    const stream = streamOf((async function* () { yield part; })(), 1_000);
    let bytes = 0;
    while (bytes < part.length) {
      const taken = (stream.read(50_000) ?? stream.read()) as Buffer | null; // no other chunks are pushed
      if (taken === null) await once(stream, 'readable');
      bytes += taken?.length ?? 0;
      jest.advanceTimersByTime(300);
    }
    jest.useRealTimers();
    expect(bytes).toBe(part.length);
  });
});
