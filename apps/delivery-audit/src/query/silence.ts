import { Socket } from 'node:net';

/**
 * A socket, as `pg` wants it made, that is closed when nothing has come or gone for so long. PostgreSQL gives up a statement in time and says so; where
 * even that does not come the way to it is gone, nobody will ever tell, and whoever gets the connection next would wait as well. An idle
 * connection is closed too, and made again when it is wanted.
 */
export const closedWhenSilent = (silentMs: number) => (): Socket => {
  const socket = new Socket();
  return socket.setTimeout(silentMs, () => void socket.destroy(new Error(`Connection terminated: silent for ${silentMs} ms`)));
};
