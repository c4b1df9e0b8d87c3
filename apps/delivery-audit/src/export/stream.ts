import { Readable } from 'node:stream';
import { callbackify } from 'node:util';

/** How long a chunk may wait for being read: whoever stopped reading holds a slot that others wait for. */
export const STALL_MS = 60_000;

/**
 * What an iterator makes, as a stream that asks for the next part when the one before has been read: who reads slowly has it made slowly. Closed
 * before its end, by a client that has gone, it asks for nothing more and lets the iterator clean up.
 */
export const streamOf = (parts: AsyncIterator<Buffer, void>, stallMs = STALL_MS): Readable => {
  let stalled: NodeJS.Timeout | undefined;
  const next = async (stream: Readable): Promise<void> => {
    clearTimeout(stalled);
    const part = await parts.next();
    if (stream.destroyed) return;
    if (part.done === true) {
      stream.push(null);
      return;
    }
    stalled = setTimeout(() => stream.destroy(new Error('nobody has read for a while')), stallMs);
    stream.push(part.value);
  };
  const cleanUp = callbackify(async () => {
    clearTimeout(stalled);
    await parts.return?.();
  });
  return new Readable({
    read() {
      next(this).catch((error: Error) => this.destroy(error));
    },
    destroy(error, done) {
      cleanUp((failure) => done(failure ?? error));
    },
  });
};
