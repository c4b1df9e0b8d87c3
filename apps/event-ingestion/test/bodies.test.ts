import { randomBytes } from 'node:crypto';
import { Agent, type ClientRequest, request as httpRequest } from 'node:http';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals';
import { cuttableBroker, type CuttableBroker } from './cuttable-broker.js';
import { API_KEY, openKafka, type Service, startService } from './support.js';

jest.setTimeout(120_000);

const prefix = `t${randomBytes(6).toString('hex')}`;
const KIBIBYTE = 1024;
const MEBIBYTE = KIBIBYTE * KIBIBYTE;
const MOST_BYTES = 900 * KIBIBYTE;

let kafka: Awaited<ReturnType<typeof openKafka>>;
let broker: CuttableBroker;
let service: Service;
let atRestBytes: number;
const agent = new Agent({ keepAlive: true });

beforeAll(async () => {
  kafka = await openKafka(prefix);
  await kafka.createTenant('acme');
  broker = await cuttableBroker((process.env['POSTHORN_KAFKA_BROKERS'] ?? '').split(',')[0] ?? '');
  service = await startService(prefix, { POSTHORN_MAX_EVENT_BYTES: String(MOST_BYTES), POSTHORN_KAFKA_BROKERS: broker.address });
  atRestBytes = await resident();
});

afterAll(async () => {
  agent.destroy();
  await service?.stop('SIGTERM');
  await broker?.stop();
  await kafka?.close();
});

type Headers = Readonly<Record<string, string>>;

/** A request whose body is still to come, and what is answered to it. */
const begun = (headers: Headers): { readonly outgoing: ClientRequest; readonly status: Promise<number> } => {
  const outgoing = httpRequest(`${service.url}/v1/tenants/acme/events`, {
    method: 'POST',
    agent,
    headers: { authorization: `Bearer ${API_KEY}`, 'content-type': 'application/json', ...headers },
  });
  const status = new Promise<number>((resolve) => {
    outgoing.on('response', (response) => {
      response.resume();
      response.on('end', () => resolve(response.statusCode ?? 0));
    });
    outgoing.on('error', () => resolve(0));
  });
  return { outgoing, status };
};

const publish = (body: string | Buffer, headers: Headers = {}): Promise<number> => {
  const { outgoing, status } = begun({ 'content-length': String(Buffer.byteLength(body)), ...headers });
  outgoing.end(body);
  return status;
};

/** Of the service. */
const resident = async (): Promise<number> =>
  Number(/^process_resident_memory_bytes\{.*\} (\S+)$/m.exec(await (await fetch(`${service.url}/metrics`)).text())?.[1]);

/** The most that it was before the signal. */
const mostResident = async (until: AbortSignal): Promise<number> => {
  let most = 0;
  while (!until.aborted) {
    most = Math.max(most, await resident());
    await new Promise((resolve) => void setTimeout(resolve, 20));
  }
  return most;
};

const EVENT = '{"type":"a","data":1}';

describe('bodies', () => {
  it('have a room for all of them: whoever finds it full waits, and is told in time when that was in vain', async () => {
    const slow = Array.from({ length: 6 }, () => begun({ 'content-length': String(8 * MEBIBYTE) }));
    // Each of them is known to have its place when the service has begun to read it.
    await Promise.all(slow.map(({ outgoing }) => new Promise((resolve) => void outgoing.write(' '.repeat(KIBIBYTE), resolve))));
    let refused = 0;
    const startedMs = performance.now();
    while ((refused = await publish(EVENT)) === 202);
    expect(refused).toBe(503);
    expect(performance.now() - startedMs).toBeLessThan(4_000);
    const waiting = publish(EVENT);
    for (const { outgoing } of slow) outgoing.destroy();
    expect(await waiting).toBe(202);
  });

  it('give their place back, coded or not, answered or refused', async () => {
    const gzipped = gzipSync(EVENT);
    // Each of these takes 8 MiB of 48 until it is known to be small.
    for (let round = 0; round < 5; round++) {
      const answers = await Promise.all(Array.from({ length: 20 }, (_, n) => publish(n % 2 === 0 ? gzipped : 'x', { 'content-encoding': 'gzip' })));
      expect(answers).toEqual(Array.from({ length: 20 }, (_, n) => (n % 2 === 0 ? 202 : 400)));
    }
  });

  describe('of 900 KiB may come by hundreds at once, in bounded memory', () => {
    const body = JSON.stringify({ type: 'large.test', data: 'x'.repeat(MOST_BYTES - 100) });
    /** All of them are 176 MiB, and twice that with their records. */
    const hundreds = async (): Promise<{ readonly answers: ReadonlySet<number>; readonly grownBytes: number }> => {
      const over = new AbortController();
      const most = mostResident(over.signal);
      const answers = await Promise.all(Array.from({ length: 200 }, () => publish(body)));
      over.abort();
      return { answers: new Set(answers), grownBytes: (await most) - atRestBytes };
    };

    it('when Kafka takes them', async () => {
      const { answers, grownBytes } = await hundreds();
      // Some may be told to come again, and nothing worse.
      expect([...answers].filter((status) => status !== 503)).toEqual([202]);
      expect(grownBytes).toBeLessThan(256 * MEBIBYTE);
    });

    it('when Kafka is away', async () => {
      await broker.stop();
      const { answers, grownBytes } = await hundreds();
      await broker.start();
      expect(answers).toEqual(new Set([503]));
      expect(grownBytes).toBeLessThan(256 * MEBIBYTE);
    });
  });
});
