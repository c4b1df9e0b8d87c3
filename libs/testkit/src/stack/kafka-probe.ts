import { connect } from 'node:net';

const METADATA = 3;
const VERSION = 1;
const CORRELATION = 1;
const CLIENT = 'probe';

/** A Metadata request, version 1, for no topic (protocol guide, "Metadata API"): length, header, an empty array of names. */
const request = (): Buffer => {
  const body = Buffer.alloc(2 + 2 + 4 + 2 + CLIENT.length + 4);
  body.writeInt16BE(METADATA, 0);
  body.writeInt16BE(VERSION, 2);
  body.writeInt32BE(CORRELATION, 4);
  body.writeInt16BE(CLIENT.length, 8);
  body.write(CLIENT, 10, 'latin1');
  const length = Buffer.alloc(4);
  length.writeInt32BE(body.length);
  return Buffer.concat([length, body]);
};

/** Offset of the number of brokers in the answer: after length and correlation id. */
const BROKERS_AT = 8;

/**
 * Whether the broker is ready for clients: it accepts a connection and names at least one broker. Spoken by hand because the
 * alternative, a whole client with its retries and its logger, takes longer to give up than the broker takes to start.
 */
export const answersMetadata = (host: string, port: number, timeoutMs = 1_000): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = connect({ host, port, timeout: timeoutMs });
    let answer = Buffer.alloc(0);
    const settle = (ready: boolean) => {
      socket.destroy();
      resolve(ready);
    };
    socket.once('connect', () => socket.write(request()));
    socket.on('data', (chunk) => {
      answer = Buffer.concat([answer, chunk]);
      if (answer.length >= BROKERS_AT + 4) settle(answer.readInt32BE(BROKERS_AT) > 0);
    });
    socket.once('timeout', () => settle(false));
    socket.once('error', () => settle(false));
    socket.once('close', () => settle(false));
  });

/** Whether anything accepts a connection there: all that can be asked of a broker whose credentials we do not have. */
export const accepts = (host: string, port: number, timeoutMs = 2_000): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = connect({ host, port, timeout: timeoutMs });
    const settle = (answer: boolean) => {
      socket.destroy();
      resolve(answer);
    };
    socket.once('connect', () => settle(true));
    socket.once('timeout', () => settle(false));
    socket.once('error', () => settle(false));
  });
