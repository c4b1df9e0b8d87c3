import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals';
import type { DeliveryView } from '@posthorn/contracts';
import { eventually, startReceiver, type Receiver } from '@posthorn/testkit';
import { Posthorn } from '../support/posthorn.js';
import type { ServiceName } from '../support/service.js';

jest.setTimeout(180_000);

const EVENTS = 2_000;
const PER_SECOND = 600;
/** More than two seconds into the run: what happened before the last commit is then distinguishable from what happened after it. */
const INTERRUPTED_AT = 1_300;
/** A subscriber takes its time, so that requests are under way at any moment. */
const SUBSCRIBER_MS = 20;
const PATIENCE = { timeoutMs: 90_000 } as const;

/**
 * How long before the crash a request that is repeated can have been made first. A consumer commits every 500 ms; the rest is for a
 * machine that is busy with everything at once.
 */
const WINDOW_MS = 1_500;

let posthorn: Posthorn;
let receiver: Receiver;

beforeAll(async () => {
  receiver = await startReceiver();
  posthorn = await Posthorn.start('crashes');
});

afterAll(async () => {
  await posthorn?.close();
  await receiver?.close();
});

/** Produces to Kafka at a steady rate, whatever happens meanwhile; resolves when the brokers have everything. */
const produceAll = (ids: readonly string[], type: string, producedMs: Map<string, number>): Promise<unknown> =>
  new Promise((resolve, reject) => {
    const produced: Promise<void>[] = [];
    const startMs = performance.now();
    const timer = setInterval(() => {
      const due = Math.min(ids.length, ((performance.now() - startMs) / 1_000) * PER_SECOND);
      while (produced.length < due) {
        const id = ids[produced.length] ?? '';
        producedMs.set(id, Date.now());
        produced.push(posthorn.produce({ key: id, value: JSON.stringify({ id, type, data: { id } }) }));
      }
      if (produced.length < ids.length) return;
      clearInterval(timer);
      Promise.all(produced).then(resolve, reject);
    }, 10);
  });

type Interruption = { readonly service: ServiceName; readonly signal: 'SIGKILL' | 'SIGTERM' };

type Repeated = {
  readonly count: number;
  /** How long before the interruption the earliest of them had been made for the first time. */
  readonly reachMs: number;
  /** Of events that did not exist yet when the process ended: nobody can have had them in a window. */
  readonly ofLaterEvents: number;
};

/** Lets the events flow, ends a service and starts it again, and holds what came of them against the promises. */
const flowThrough = async (name: string, { service, signal }: Interruption): Promise<Repeated> => {
  const type = `crash.${name.replaceAll('-', '_')}`;
  const path = `/${name}`;
  const ids = Array.from({ length: EVENTS }, (_, i) => `${name}-${i}`);
  receiver.clear();
  receiver.replyAt(path, { delayMs: SUBSCRIBER_MS });
  const { id: subscription } = await posthorn.subscribe({ url: receiver.url + path, event_types: [type], policy: { max_concurrency: 100 } });

  const producedMs = new Map<string, number>();
  const producing = produceAll(ids, type, producedMs);
  await receiver.received(INTERRUPTED_AT, PATIENCE);
  const interruptedMs = Date.now();
  expect(receiver.requests.length).toBeLessThan(EVENTS);
  expect(await posthorn.services[service].end(signal)).toBe(signal === 'SIGTERM' ? 0 : null);
  const endedMs = Date.now();
  await posthorn.services[service].start();
  await producing;

  const firstMs = new Map<string, number>();
  let seen = 0;
  const arrived = (): number => {
    for (const { headers, atMs } of receiver.requests.slice(seen)) {
      const id = String(headers['webhook-id']);
      firstMs.set(id, Math.min(atMs, firstMs.get(id) ?? atMs));
    }
    seen = receiver.requests.length;
    return firstMs.size;
  };
  await eventually(() => arrived() === EVENTS, { ...PATIENCE, describe: () => `${EVENTS} events at the receiver; ${firstMs.size} have come` });

  let deliveries: readonly DeliveryView[] = [];
  await eventually(
    async () => {
      deliveries = await posthorn.api.list<DeliveryView>(`/v1/tenants/default/deliveries?subscription=${subscription}`);
      return deliveries.length >= EVENTS && deliveries.every(({ status }) => status === 'delivered');
    },
    { ...PATIENCE, everyMs: 250, describe: () => `${EVENTS} deliveries to be delivered; of ${deliveries.length} there are ${deliveries.filter(({ status }) => status === 'delivered').length}` },
  );
  expect(deliveries.map(({ event_id }) => event_id).toSorted()).toEqual(ids.toSorted());
  expect(deliveries.filter(({ attempts }) => attempts !== 1)).toEqual([]);
  const events = await posthorn.api.list<{ id: string }>(`/v1/tenants/default/events?event_type=${type}`);
  expect(events.map(({ id }) => id).toSorted()).toEqual(ids.toSorted());

  arrived();
  const times = Map.groupBy(receiver.requests, ({ headers }) => String(headers['webhook-id']));
  const repeated = [...times].filter(([, requests]) => requests.length > 1).map(([id]) => id);
  const reachMs = interruptedMs - Math.min(interruptedMs, ...repeated.map((id) => firstMs.get(id) ?? 0));
  const count = receiver.requests.length - EVENTS;
  const ofLaterEvents = repeated.filter((id) => (producedMs.get(id) ?? 0) > endedMs).length;
  process.stdout.write(`    ${service}, ${signal}: ${EVENTS} events, ${count} requests repeated, the earliest first made ${reachMs} ms before\n`);
  return { count, reachMs, ofLaterEvents };
};

describe(`${EVENTS} events are under way, and kill -9 ends`, () => {
  it.each(['event-ingestion', 'dispatcher'] as const)(
    '%s: each is delivered, stands in the audit once, and was repeated only if it was in the window',
    async (service) => {
      const { reachMs, ofLaterEvents } = await flowThrough(service, { service, signal: 'SIGKILL' });
      expect(reachMs).toBeLessThan(WINDOW_MS);
      expect(ofLaterEvents).toBe(0);
    },
  );

  it.each(['subscription-registry', 'delivery-audit', 'gateway'] as const)('%s: each is delivered once and stands in the audit once', async (service) => {
    expect(await flowThrough(service, { service, signal: 'SIGKILL' })).toMatchObject({ count: 0 });
  });
});

describe(`${EVENTS} events are under way, and TERM ends`, () => {
  it('the dispatcher: it finishes what it has begun, and nothing is sent twice', async () => {
    expect(await flowThrough('term', { service: 'dispatcher', signal: 'SIGTERM' })).toMatchObject({ count: 0 });
  });
});

it('the audit says afterwards what the topics say', async () => {
  expect(await posthorn.verifyAudit()).toEqual({ exit: 0, said: expect.stringContaining(': equal; ') });
});
