import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals';
import type { DeliveryView } from '@posthorn/contracts';
import { startLedger, type Ledger } from '../support/ledger.js';
import { Posthorn, type Subscription } from '../support/posthorn.js';
import type { Service } from '../support/service.js';

/** `POSTHORN_TEST_KILLS=50 npm test -- --only e2e kills` is the long run. */
const KILLS = Number(process.env['POSTHORN_TEST_KILLS'] ?? 6);
const PER_SECOND = 30;
const SUBSCRIBER_MS = 20;
/** Of one that takes its time: at most moments requests are under way that began before the last commit. */
const PATIENT_MS = 400;
/** Between one kill and the next, at least and at most; a group is without a member that was killed for ten seconds. */
const PAUSE_MS = { least: 200, most: 4_000 };
/** On average a kill repeats no more than flows in so long: commits are half a second apart, and after a stall there is more in a window. */
const WINDOW_SECONDS = 2;
const PATIENCE_MS = 120_000 + 5_000 * KILLS;

jest.setTimeout(2 * PATIENCE_MS + 20_000 * KILLS);

/** Every tenth event is refused here at first. */
const isRefused = (path: string, id: string): boolean => path === '/flapping' && id.endsWith('0');

const policies = {
  patient: { max_concurrency: 50 },
  flapping: { max_concurrency: 50, retry_schedule: ['1s', '2s', '2s'] },
  limited: { rate_limit: { per_second: 2 * PER_SECOND, burst: 5 } },
  spread: { spread: 4 },
};

let ledger: Ledger;
let posthorn: Posthorn;
let mortals: readonly Service[];
const subscriptions = new Map<string, Subscription>();

beforeAll(async () => {
  ledger = await startLedger((path, id, times) => ({ status: isRefused(path, id) && times === 0 ? 500 : 200, delayMs: path === '/patient' ? PATIENT_MS : SUBSCRIBER_MS }));
  posthorn = await Posthorn.start('kills', { POSTHORN_DISPATCHER_ROLES: 'router' });
  const replicas = ['router', 'sender', 'sender', 'delay', 'delay'];
  mortals = [posthorn.services.dispatcher, ...(await Promise.all(replicas.map((role) => posthorn.replica('dispatcher', { POSTHORN_DISPATCHER_ROLES: role }))))];
  for (const [name, policy] of Object.entries(policies)) {
    subscriptions.set(name, await posthorn.subscribe({ name, url: `${ledger.url}/${name}`, event_types: ['kills'], policy }));
  }
});

afterAll(async () => {
  await posthorn?.close();
  await ledger?.close();
});

/** Produces until it is stopped; resolves with when each event was produced, once Kafka has them all. */
const producing = (): { readonly count: () => number; readonly stop: () => Promise<ReadonlyMap<string, number>> } => {
  const producedMs = new Map<string, number>();
  const produced: Promise<void>[] = [];
  const timer = setInterval(() => {
    const id = `kills-${produced.length}`;
    producedMs.set(id, Date.now());
    produced.push(posthorn.produce({ key: id, value: JSON.stringify({ id, type: 'kills', data: { id } }) }));
  }, 1_000 / PER_SECOND);
  return {
    count: () => produced.length,
    stop: async () => {
      clearInterval(timer);
      await Promise.all(produced);
      return producedMs;
    },
  };
};

const deliveriesOf = (name: string): Promise<readonly DeliveryView[]> =>
  posthorn.api.list<DeliveryView>(`/v1/tenants/default/deliveries?subscription=${subscriptions.get(name)?.id}`);

/** Kills one of them after the other, some of them while others have not come back; resolves with the times, when all are back and events flow. */
const killAtRandom = async (produced: () => number): Promise<readonly number[]> => {
  const killsMs: number[] = [];
  const returning = new Map<Service, Promise<void>>();
  while (killsMs.length < KILLS) {
    const pauseMs = PAUSE_MS.least + Math.random() * (PAUSE_MS.most - PAUSE_MS.least);
    await new Promise((resolve) => void setTimeout(resolve, pauseMs));
    const mortal = mortals[Math.floor(Math.random() * mortals.length)];
    if (mortal === undefined) continue;
    await returning.get(mortal);
    killsMs.push(Date.now());
    await mortal.end('SIGKILL');
    returning.set(mortal, mortal.start());
  }
  await Promise.all(returning.values());
  const untilThen = produced();
  await posthorn.until(() => produced() >= untilThen + PER_SECOND, () => 'events after the last kill');
  return killsMs;
};

describe(`routers, senders and delays are killed at random, ${KILLS} times, while events flow`, () => {
  it('and each delivery has one end in the audit, its attempts are numbered without gaps, and no more is repeated than was in the windows', async () => {
    const flow = producing();
    const killsMs = await killAtRandom(flow.count).catch(async (error: unknown) => {
      await flow.stop();
      throw error;
    });
    const producedMs = await flow.stop();
    const ids = [...producedMs.keys()].toSorted();
    const wanted = ids.length * subscriptions.size;
    await posthorn.until(() => ledger.count() >= wanted, () => `${wanted} deliveries; ${ledger.count()} have come`, { timeoutMs: PATIENCE_MS });

    // Promise 1.
    for (const name of subscriptions.keys()) {
      let deliveries: readonly DeliveryView[] = [];
      const delivered = (): number => deliveries.filter(({ status }) => status === 'delivered').length;
      await posthorn.until(
        async () => {
          deliveries = await deliveriesOf(name);
          return delivered() >= ids.length;
        },
        () => `${ids.length} deliveries to ${name}; of ${deliveries.length} there are ${delivered()} delivered`,
        { timeoutMs: PATIENCE_MS, everyMs: 1_000 },
      );
      expect(deliveries.map(({ event_id }) => event_id).toSorted()).toEqual(ids);
      expect(deliveries.filter(({ status }) => status !== 'delivered')).toEqual([]);
      // Promise 2.
      const counted = deliveries.filter(({ event_id }) => isRefused(`/${name}`, event_id)).slice(0, 50);
      for (const delivery of counted) {
        const attempts = await posthorn.attemptsOf(delivery);
        expect(attempts.map(({ round, number }) => [round, number])).toEqual(attempts.map((_, n) => [0, n + 1]));
        expect(attempts).toHaveLength(delivery.attempts);
      }
      expect(deliveries.filter(({ event_id, attempts }) => attempts !== 1 && !isRefused(`/${name}`, event_id))).toEqual([]);
    }

    // Promise 3.
    const repeated = [...Map.groupBy(ledger.entries, ({ path, id }) => `${path} ${id}`).values()].flatMap((requests) => {
      const [first] = requests;
      const needed = first !== undefined && isRefused(first.path, first.id) ? 2 : 1;
      return first === undefined || requests.length <= needed ? [] : [{ id: first.id, more: requests.length - needed }];
    });
    const more = repeated.reduce((sum, each) => sum + each.more, 0);
    process.stdout.write(`    ${killsMs.length} kills, ${ids.length} events, ${ledger.entries.length} requests, ${more} of them repeated, at most ${Math.max(0, ...repeated.map((each) => each.more))} times one\n`);
    expect(more).toBeLessThanOrEqual(KILLS * WINDOW_SECONDS * PER_SECOND * subscriptions.size);
    const lastMs = Math.max(...killsMs);
    expect(repeated.filter(({ id }) => (producedMs.get(id) ?? 0) > lastMs)).toEqual([]);
  });
});
