import { Socket } from 'node:net';

/**
 * A socket, as `pg` wants it made, that is closed when nothing has come or gone for so long: for pools that lend a connection out again whatever has become of the last question.
 * Longer than PostgreSQL may take for a statement: where not even its refusal comes, the way to it is gone. An idle connection is closed too, and made again when it is wanted.
 */
export const closedWhenSilent = (silentMs: number) => (): Socket => {
  const socket = new Socket();
  return socket.setTimeout(silentMs, () => void socket.destroy(new Error(`Connection terminated: silent for ${silentMs} ms`)));
};
