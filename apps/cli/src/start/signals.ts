import { once } from 'node:events';

const PATIENCE_MS = 1_500;

export type Asked = {
  /** Resolves when somebody asks us to stop: Ctrl-C, TERM, or the terminal closing. */
  readonly promise: Promise<void>;
  asked(): boolean;
};

/**
 * A terminal and npm may both pass on the same Ctrl-C, so a second signal soon after the first is the same wish. One that comes
 * later is impatience: then we leave at once, and every server's leash ends what we leave behind.
 */
export const untilAsked = (): Asked => {
  let askedAtMs: number | undefined;
  const asking = new AbortController();
  const promise = once(asking.signal, 'abort').then(() => {});
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(signal, () => {
      if (askedAtMs !== undefined && performance.now() - askedAtMs > PATIENCE_MS) process.exit(1);
      askedAtMs ??= performance.now();
      asking.abort();
    });
  }
  // Whoever reads our output may leave first; that is no reason to stop halfway through stopping.
  for (const stream of [process.stdout, process.stderr]) stream.on('error', () => {});
  return { promise, asked: () => askedAtMs !== undefined };
};
