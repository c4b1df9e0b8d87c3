import { Readable } from 'node:stream';
import { callbackify } from 'node:util';

/** How long a chunk may wait for being read: whoever stopped reading holds a slot that others wait for. */
export const STALL_MS = 60_000;

/** What is handed on at a time: who takes as much within that time reads, however slowly, and however large the part is. */
const PIECE_BYTES = 64 * 1024;
const NOTHING = Buffer.alloc(0);

/**
 * What an iterator makes, as a stream that asks for the next part when the one before has been read: who reads slowly has it made slowly. Closed
 * before its end, by a client that has gone, it asks for nothing more and lets the iterator clean up.
 */
export const streamOf = (parts: AsyncIterator<Buffer, void>, stallMs = STALL_MS): Readable => {
  let stalled: NodeJS.Timeout | undefined;
  let rest: Buffer = NOTHING;
  const next = async (stream: Readable): Promise<void> => {
    clearTimeout(stalled);
    if (rest.length === 0) {
      const part = await parts.next();
      if (stream.destroyed) return;
      if (part.done === true) {
        stream.push(null);
        return;
      }
      rest = part.value;
    }
    stalled = setTimeout(() => stream.destroy(new Error('nobody has read for a while')), stallMs);
    const piece = rest.subarray(0, PIECE_BYTES);
    rest = rest.subarray(PIECE_BYTES);
    stream.push(piece);
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
