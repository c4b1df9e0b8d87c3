/**
 * All subscribers of the bench in one process: reads requests off the socket, notes when each came and for whom, answers 204, verifies a
 * sample of the signatures. On Node's own sockets; docs/decisions/028 has what other ways cost.
 */
import { createServer, type AddressInfo, type Socket } from 'node:net';
import { verifySignature } from '@posthorn/testkit';
import { Arrivals } from './arrivals.ts';
import { nowMicros } from './clock.ts';
import { parseEventId } from './event-id.ts';
import { headersOf, readRequest, type WholeRequest } from './http-requests.ts';
import type { SinkAnswers, SinkAsks, Subscriber, Taken } from './messages.ts';
import { answer } from './worker.ts';

const NO_CONTENT = Buffer.from('HTTP/1.1 204 No Content\r\n\r\n');
/** One request in so many has its signature verified, and every subscriber's first. */
const VERIFY_EVERY = 500;
const WRONG_TOLD = 10;

const subscribers = new Map<number, Subscriber>();
const unverified = new Set<number>();
const loads = new Map<number, Arrivals>();
const wrong: string[] = [];
let verified = 0;
let requests = 0;

const verify = (subscriber: Subscriber, { head }: WholeRequest, body: Buffer): void => {
  unverified.delete(subscriber.number);
  verified += 1;
  const verification = verifySignature(headersOf(head), body, subscriber.secret);
  if (!verification.valid && wrong.length < WRONG_TOLD) wrong.push(`subscriber ${subscriber.number}: ${verification.reason}`);
};

const note = (request: WholeRequest, bytes: Buffer, atMicros: number): Subscriber | undefined => {
  const subscriber = subscribers.get(Number(request.path.slice(1)));
  if (subscriber === undefined) return undefined;
  requests += 1;
  if (requests % VERIFY_EVERY === 0 || unverified.has(subscriber.number)) verify(subscriber, request, bytes.subarray(request.bodyStart, request.end));
  const stamped = parseEventId(request.id);
  if (stamped === undefined) return subscriber;
  let load = loads.get(stamped.run);
  if (load === undefined) loads.set(stamped.run, (load = new Arrivals()));
  load.add(subscriber.number, stamped.sequence, stamped.dueMicros, atMicros);
  return subscriber;
};

const reply = (socket: Socket, subscriber: Subscriber | undefined): void => {
  switch (subscriber?.manner.kind) {
    case 'hanging':
      return;
    case 'slow':
      setTimeout(() => socket.write(NO_CONTENT), subscriber.manner.delayMs);
      return;
    default:
      socket.write(NO_CONTENT);
  }
};

const serve = (socket: Socket): void => {
  let pending: Buffer = Buffer.alloc(0);
  socket.setNoDelay(true);
  socket.on('error', () => socket.destroy());
  socket.on('data', (chunk) => {
    const bytes = pending.length === 0 ? chunk : Buffer.concat([pending, chunk]);
    let from = 0;
    for (let request = readRequest(bytes, from); request !== undefined; request = readRequest(bytes, from)) {
      from = request.end;
      reply(socket, note(request, bytes, nowMicros()));
    }
    pending = bytes.subarray(from);
  });
};

const take = (run: number): Taken => {
  const { requests: came, deliveries, subscriptions, latencyMicros, atMillis } = loads.get(run) ?? new Arrivals();
  loads.delete(run);
  return { requests: came, deliveries, subscriptions, latencyMicros, atMillis, signaturesVerified: verified, signaturesWrong: wrong };
};

const server = createServer(serve);
const listening = new Promise<number>((resolve) => void server.listen(0, '127.0.0.1', () => resolve((server.address() as AddressInfo).port)));

answer<SinkAsks>(async (ask): Promise<SinkAnswers[SinkAsks['kind']]> => {
  switch (ask.kind) {
    case 'listen':
      return { port: await listening };
    case 'subscribers':
      for (const one of ask.subscribers) {
        if (!subscribers.has(one.number)) unverified.add(one.number);
        subscribers.set(one.number, one);
      }
      return null;
    case 'counts': {
      const load = loads.get(ask.run);
      return { requests: load?.requests ?? 0, deliveries: load?.deliveries ?? 0 };
    }
    case 'take':
      return take(ask.run);
  }
});
