import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals';
import { cuttableBroker, type CuttableBroker } from './cuttable-broker.js';
import { API_KEY, openKafka, type Service, startService } from './support.js';

jest.setTimeout(60_000);

const prefix = `t${randomBytes(6).toString('hex')}`;
const TOLD_WITHIN_MS = 2_000;
const BACK_WITHIN_MS = 5_000;

let kafka: Awaited<ReturnType<typeof openKafka>>;
let broker: CuttableBroker;
let service: Service;
let count = 0;
/** What has been acknowledged. */
const ledger: string[] = [];

beforeAll(async () => {
  kafka = await openKafka(prefix);
  await kafka.createTenant('acme');
  broker = await cuttableBroker((process.env['POSTHORN_KAFKA_BROKERS'] ?? '').split(',')[0] ?? '');
  service = await startService(prefix, { POSTHORN_KAFKA_BROKERS: broker.address });
  await acknowledged();
});

afterAll(async () => {
  await service?.stop('SIGTERM');
  await broker?.stop();
  await kafka?.close();
});

const publish = async (path = 'events', body?: string) => {
  const id = `o-${count++}`;
  const startedMs = performance.now();
  const response = await fetch(`${service.url}/v1/tenants/acme/${path}`, {
    method: 'POST',
    headers: { authorization: `Bearer ${API_KEY}`, 'content-type': 'application/json' },
    body: body ?? JSON.stringify({ id, type: 'outage.test', data: 1 }),
  });
  if (response.status === 202) ledger.push(id);
  const { code } = (await response.json()) as { code?: string };
  return { status: response.status, code, retryAfter: response.headers.get('retry-after'), tookMs: performance.now() - startedMs };
};

/** Asks until an event is acknowledged. @returns how long that took */
const acknowledged = async (): Promise<number> => {
  const startedMs = performance.now();
  for (;;) {
    const { status } = await publish();
    if (status === 202) return performance.now() - startedMs;
  }
};

/** The longest that the service, or this machine, lets somebody wait who asks for nothing, until it is stopped. */
const lateness = () => {
  const over = new AbortController();
  let longestMs = 0;
  const asking = (async () => {
    while (!over.signal.aborted) {
      const startedMs = performance.now();
      await (await fetch(`${service.url}/healthz`)).text();
      longestMs = Math.max(longestMs, performance.now() - startedMs);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  })();
  return async (): Promise<number> => {
    over.abort();
    await asking;
    return longestMs;
  };
};

const away = { status: 503, code: 'unavailable', retryAfter: '1' };

describe('while Kafka is away', () => {
  it('clients are told so in time, again and again, and served soon after its return', async () => {
    const underWay = Array.from({ length: 20 }, () => publish());
    await broker.stop();
    const stop = lateness();
    const cut = await Promise.all(underWay);
    const during = [await publish(), await publish('events/batch', '{"events":[{"type":"a","data":1},{"type":"a","data":2}]}'), ...(await Promise.all(Array.from({ length: 50 }, () => publish())))];
    for (const answer of during) expect(answer).toMatchObject(away);
    const lateMs = await stop();
    for (const { tookMs } of [...cut, ...during]) expect(tookMs - lateMs).toBeLessThan(TOLD_WITHIN_MS);
    await broker.start();
    expect(await acknowledged()).toBeLessThan(BACK_WITHIN_MS);
  });

  it('a refusal is told all the same', async () => {
    await broker.stop();
    expect(await publish('events', '{"data":1}')).toMatchObject({ status: 422, code: 'invalid' });
    await broker.start();
    await acknowledged();
  });

  it('clients are told so in time when it does not even refuse', async () => {
    broker.silence();
    const stop = lateness();
    const answers = await Promise.all(Array.from({ length: 20 }, () => publish()));
    for (const answer of answers) expect(answer).toMatchObject(away);
    const lateMs = await stop();
    for (const { tookMs } of answers) expect(tookMs - lateMs).toBeLessThan(TOLD_WITHIN_MS);
    await broker.stop();
    await broker.start();
    expect(await acknowledged()).toBeLessThan(BACK_WITHIN_MS);
  });

  it('nothing that was acknowledged is lost', async () => {
    const accepted = () => new Set(kafka.accepted.all.map(({ envelope }) => envelope.id));
    await kafka.accepted.until(() => ledger.every((id) => accepted().has(id)));
    expect(ledger.length).toBeGreaterThan(3);
  });
});
