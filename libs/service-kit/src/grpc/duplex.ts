import type { Readable, Writable } from 'node:stream';

/**
 * What comes in on a stream of messages, one after another, until its other end has said all or is gone, or `stop` is aborted. Reads no
 * further than it is asked. Unlike the stream's own iterator it leaves the stream alone at its end: there is more to be said to the other end.
 */
export const incoming = async function* <Message>(stream: Readable, stop: AbortSignal): AsyncGenerator<Message> {
  let wake: (() => void) | undefined;
  const onChange = (): void => wake?.();
  const changes = ['readable', 'end', 'close'] as const;
  for (const change of changes) stream.on(change, onChange);
  stop.addEventListener('abort', onChange);
  try {
    while (!stop.aborted && !stream.readableEnded && !stream.destroyed) {
      const changed = new Promise<void>((resolve) => (wake = resolve));
      const message = stream.read() as Message | null; // of an object stream whose messages are of this kind
      if (message === null) await changed;
      else yield message;
    }
  } finally {
    for (const change of changes) stream.off(change, onChange);
    stop.removeEventListener('abort', onChange);
  }
};

/**
 * Writes messages to a stream, whose other end may go at any time. A write that is under way then is never answered by the stream, and
 * nobody may wait for it.
 */
export const outgoing = <Message>(stream: Writable, gone: AbortSignal): ((message: Message) => Promise<void>) => {
  const waiting = new Set<() => void>();
  gone.addEventListener(
    'abort',
    () => {
      for (const resolve of waiting) resolve();
      waiting.clear();
    },
    { once: true },
  );
  return (message) =>
    new Promise((resolve) => {
      if (gone.aborted) return resolve();
      waiting.add(resolve);
      stream.write(message, () => {
        waiting.delete(resolve);
        resolve();
      });
    });
};
