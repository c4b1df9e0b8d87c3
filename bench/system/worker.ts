import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';

type Question = { readonly id: number; readonly ask: unknown };
type Answer = { readonly id: number; readonly value?: unknown; readonly problem?: string };

/** A process of the bench, asked by messages. */
export type Worker<Asks extends { readonly kind: string }, Answers extends Record<Asks['kind'], unknown>> = {
  readonly pid: number;
  /** @throws {Error} what the process could not do; or that it has ended */
  ask<Ask extends Asks>(ask: Ask): Promise<Answers[Ask['kind']]>;
  end(): Promise<void>;
};

export const startWorker = <Asks extends { readonly kind: string }, Answers extends Record<Asks['kind'], unknown>>(
  file: string,
  args: readonly string[] = [],
): Worker<Asks, Answers> => {
  const child: ChildProcess = fork(file, args, { serialization: 'advanced', stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
  const waiting = new Map<number, { readonly resolve: (value: unknown) => void; readonly reject: (error: Error) => void }>();
  let asked = 0;
  child.on('message', (message) => {
    const { id, value, problem } = message as Answer; // what `answer` below sends
    const one = waiting.get(id);
    waiting.delete(id);
    if (problem === undefined) one?.resolve(value);
    else one?.reject(new Error(problem));
  });
  child.once('exit', (status) => {
    for (const { reject } of waiting.values()) reject(new Error(`${file} ended with ${status}`));
  });
  return {
    pid: child.pid ?? 0,
    ask: <Ask extends Asks>(ask: Ask) =>
      new Promise<Answers[Ask['kind']]>((resolve, reject) => {
        if (!child.connected) return reject(new Error(`${file} has ended`));
        asked += 1;
        waiting.set(asked, { resolve: resolve as (value: unknown) => void, reject }); // the answer of that kind
        child.send({ id: asked, ask } satisfies Question);
      }),
    end: async () => {
      if (child.connected) child.disconnect();
      if (child.exitCode === null) await once(child, 'exit');
    },
  };
};

/** In such a process: answers what is asked, until the bench is gone, however it went. */
export const answer = <Asks>(handle: (ask: Asks) => unknown): void => {
  process.on('message', (message) => {
    const { id, ask } = message as { id: number; ask: Asks }; // what `startWorker` sends
    Promise.resolve()
      .then(() => handle(ask))
      .then(
        (value) => process.send?.({ id, value } satisfies Answer),
        (error: unknown) => process.send?.({ id, problem: error instanceof Error ? (error.stack ?? error.message) : String(error) } satisfies Answer),
      );
  });
  // Ctrl-C at the terminal is for the bench, which takes everything down in order.
  process.on('SIGINT', () => undefined);
  process.on('disconnect', () => process.exit());
};
