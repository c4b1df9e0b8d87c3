import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { Transform } from 'node:stream';
import { freePort } from '@posthorn/testkit';

/** How Kafka's protocol says where a broker is: the length of its name, the name, the port. */
const wireAddress = (host: string, port: number): Buffer => {
  const bytes = Buffer.alloc(2 + host.length + 4);
  bytes.writeInt16BE(host.length);
  bytes.write(host, 2, 'latin1');
  bytes.writeInt32BE(port, 2 + host.length);
  return bytes;
};

/** Puts one text in the place of another of the same length, wherever it stands whole in a packet. */
const replacing = (from: Buffer, to: Buffer): Transform =>
  new Transform({
    transform(chunk: Buffer, _encoding, done) {
      for (let at = chunk.indexOf(from); at >= 0; at = chunk.indexOf(from, at + to.length)) to.copy(chunk, at);
      done(null, chunk);
    },
  });

export type CuttableBroker = {
  readonly address: string;
  /** Connections end, and new ones are refused: as when the broker is stopped. */
  readonly stop: () => Promise<void>;
  readonly start: () => Promise<void>;
  /** Connections stay, and nothing comes back on them: as when the network swallows it. */
  readonly silence: () => void;
};

/**
 * A broker that can be taken away from the one who is told this address, and from nobody else. It calls itself by this address, too, so that no
 * client finds its way past.
 */
export const cuttableBroker = async (broker: string): Promise<CuttableBroker> => {
  const [host = '', port = ''] = broker.split(':');
  const sockets = new Set<Socket>();
  let isSilent = false;
  let server: Server;
  // Not any that is free now: while it is stopped the system may give such a port to a connection.
  const own = await freePort(host);
  const accept = (client: Socket): void => {
    const upstream = connect(Number(port), host);
    for (const [socket, other] of [[client, upstream], [upstream, client]] as const) {
      sockets.add(socket);
      socket.on('error', () => other.destroy());
      socket.on('close', () => {
        sockets.delete(socket);
        other.destroy();
      });
    }
    client.on('data', (bytes) => void (isSilent || upstream.write(bytes)));
    const renamed = upstream.pipe(replacing(wireAddress(host, Number(port)), wireAddress(host, own)));
    renamed.on('data', (bytes: Buffer) => void (isSilent || client.write(bytes)));
  };
  const start = async (): Promise<void> => {
    isSilent = false;
    server = createServer(accept).listen(own, host);
    await once(server, 'listening');
  };
  const stop = async (): Promise<void> => {
    const closed = once(server, 'close');
    server.close();
    for (const socket of sockets) socket.destroy();
    await closed;
  };
  await start();
  return { address: `${host}:${own}`, start, stop, silence: () => void (isSilent = true) };
};
