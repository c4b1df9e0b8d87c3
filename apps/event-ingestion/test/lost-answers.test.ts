import { randomBytes } from 'node:crypto';
import { connect as dial, type Socket } from 'node:net';
import { afterAll, beforeAll, expect, it, jest } from '@jest/globals';
import { frame } from '@posthorn/contracts';
import type { Kafka } from '@posthorn/kafka';
import { eventually } from '@posthorn/testkit';
import { KafkaAcceptedLog } from '../src/deduplication/accepted-log.js';
import { PgClaims } from '../src/deduplication/claims.js';
import { Deduplicator, type Ended, LAPSE_MS } from '../src/deduplication/deduplicator.js';
import { hashOfEvent } from '../src/deduplication/hash.js';
import { createDatabase, type TestDatabase } from './database.js';
import { connect, openKafka } from './support.js';

jest.setTimeout(60_000);

const prefix = `t${randomBytes(6).toString('hex')}`;
const PRODUCE = 0;
/** Long enough for PostgreSQL to answer within it. */
const DEADLINE_MS = 1_000;
const ignore = (): void => undefined;
const logger = { debug: ignore, info: ignore, warn: ignore, error: ignore, fatal: ignore };

let test: Awaited<ReturnType<typeof openKafka>>;
let database: TestDatabase;
let cut: Kafka;
let deduplicator: Deduplicator;

/** What becomes of the connections to the broker. */
let isDown = false;
/** Answers to requests with events that are still to be lost: the broker has them, and the connection breaks. */
let lose = 0;
const sockets = new Set<Socket>();

beforeAll(async () => {
  test = await openKafka(prefix);
  database = await createDatabase();
  cut = connect(prefix, {
    socketFactory: ({ host, port, onConnect }) => {
      const socket = dial({ host, port: isDown ? 1 : port }, onConnect);
      sockets.add(socket);
      const write = socket.write.bind(socket) as (...args: unknown[]) => boolean;
      socket.write = (...args: unknown[]) => {
        const [request] = args;
        if (Buffer.isBuffer(request) && request.readInt16BE(4) === PRODUCE && lose > 0) {
          lose--;
          // Nothing that comes back is heard any more.
          socket.removeAllListeners('data');
          setTimeout(() => socket.destroy(new Error('cut')), 100);
        }
        return write(...args);
      };
      return socket;
    },
  });
  const topic = cut.topic('events.accepted');
  deduplicator = await Deduplicator.open({
    claims: new PgClaims({ url: database.url, windowMs: 86_400_000, lapseMs: LAPSE_MS }),
    log: new KafkaAcceptedLog(cut, topic),
    topic,
    openProducer: (guard) => cut.producer({ guard }),
    logger,
    onStatement: ignore,
  });
});

afterAll(async () => {
  await deduplicator?.close();
  await cut?.close();
  await database?.drop();
  await test?.close();
});

const publish = (id: string, deadlineMs?: number): Promise<Ended> => {
  const value = frame({ specversion: '1.0', id, tenant: 'default', type: 'a', source: '/s', time: '', acceptedtime: '' }, Buffer.from('1'));
  const record = { topic: cut.topic('events.accepted'), key: `default/${id}`, value };
  return deduplicator.send({ hash: hashOfEvent('default', id), key: undefined, record }, deadlineMs);
};

const numbered = (start: string, count: number) => Array.from({ length: count }, (_, n) => `${start}${n}`);
const claims = async (): Promise<number> => (await database.query('select from ingestion.claims')).length;
const found = (start: string) => test.accepted.all.map(({ envelope }) => envelope.id).filter((id) => id.startsWith(start)).sort();

it('an event whose acknowledgement is lost is not written a second time', async () => {
  lose = 3;
  for (const start of ['a-', 'b-', 'c-', 'd-']) await Promise.all(numbered(start, 50).map((id) => publish(id)));
  expect(lose).toBe(0);
  await publish('end');
  await test.accepted.until(() => found('end').length === 1);
  for (const start of ['a-', 'b-', 'c-', 'd-']) expect(found(start)).toEqual(numbered(start, 50).sort());
});

it('while Kafka is away nothing is decided; what was given up can be published again, what was tried is known later', async () => {
  await eventually(async () => (await claims()) === 0);
  isDown = true;
  for (const socket of sockets) socket.destroy(new Error('cut'));
  const tried = publish('tried', DEADLINE_MS);
  // What is claimed goes to Kafka at once: what comes after the pause is behind it, and never tried.
  await eventually(async () => (await claims()) === 1);
  await new Promise((resolve) => void setTimeout(resolve, 100));
  const late = numbered('late-', 20).map((id) => publish(id, DEADLINE_MS));
  expect((await Promise.allSettled(late)).map(({ status }) => status)).toEqual(Array.from({ length: 20 }, () => 'rejected'));
  const again = [...numbered('late-', 20), 'tried'].map((id) => publish(id));
  isDown = false;
  await tried;
  const ends = await Promise.all(again);
  expect(ends).toEqual([...Array.from({ length: 20 }, () => 'accepted'), 'duplicate']);
  expect(await publish('late-7')).toBe('duplicate');
  await publish('end-2');
  await test.accepted.until(() => found('end-2').length === 1);
  expect([found('late-'), found('tried')]).toEqual([numbered('late-', 20).sort(), ['tried']]);
});
