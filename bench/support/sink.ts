/**
 * A receiver that costs as little as one in JavaScript can: reads requests off the socket by their `content-length`, answers 204, checks nothing.
 * In a process of its own; tells its port, and then every 20 ms how many requests it has answered.
 */
import { createServer, type AddressInfo, type Socket } from 'node:net';

const ANSWER = Buffer.from('HTTP/1.1 204 No Content\r\n\r\n');
const END_OF_HEADERS = '\r\n\r\n';
const TELL_EVERY_MS = 20;

let answered = 0;

/** Requests come one after the other on a connection, in as many pieces as they like. */
const serve = (socket: Socket): void => {
  let pending = Buffer.alloc(0);
  socket.setNoDelay(true);
  socket.on('error', () => socket.destroy());
  socket.on('data', (chunk) => {
    pending = pending.length === 0 ? chunk : Buffer.concat([pending, chunk]);
    for (;;) {
      const headEnd = pending.indexOf(END_OF_HEADERS);
      if (headEnd === -1) return;
      const [, length = '0'] = /content-length: (\d+)/i.exec(pending.toString('latin1', 0, headEnd)) ?? [];
      const end = headEnd + END_OF_HEADERS.length + Number(length);
      if (pending.length < end) return;
      pending = pending.subarray(end);
      answered += 1;
      socket.write(ANSWER);
    }
  });
};

const server = createServer(serve);
server.listen(0, '127.0.0.1', () => process.send?.({ port: (server.address() as AddressInfo).port, answered }));
let told = 0;
setInterval(() => {
  if (answered !== told) process.send?.({ port: (server.address() as AddressInfo).port, answered });
  told = answered;
}, TELL_EVERY_MS);
process.on('disconnect', () => process.exit());
