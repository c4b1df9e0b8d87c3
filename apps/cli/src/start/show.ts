import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import type { DeliveryView, Page, SubscriptionView } from '@posthorn/contracts';
import { connectPublisher, eventually, startReceiver, verifySignature, type Publisher, type Received, type Receiver } from '@posthorn/testkit';
import type { Api } from './api.js';
import { percentile } from './latency.js';

const DEMO_NAME = 'Posthorn demo';
const SOURCE = '/posthorn/demo';
const DELIVERY_TIMEOUT_MS = 20_000;
const RESEND_MS = 3_000;
const AUDIT_TIMEOUT_MS = 15_000;
const WARM_EVENTS = 20;
const WARM_EVERY_MS = 25;

export type Show = {
  /** What there is to tell, step by step. */
  readonly subscription: SubscriptionView;
  readonly receiver: Receiver;
  readonly publisher: Publisher;
  close(): Promise<void>;
};

export type ShowOptions = {
  readonly api: Api;
  readonly brokers: string;
  /** Called for every request to the built-in receiver that does not belong to the opening. */
  readonly onDelivery: (request: Received, latencyMs: number | undefined, problem: string | undefined) => void;
  /** One finished act of the show. */
  readonly tell: (what: string, text: string) => void;
};

type CreatedSubscription = SubscriptionView & { readonly secret: string };

/** The demo subscription of an earlier start points to a receiver that is gone: it makes way for a new one. */
const subscribe = async (api: Api, url: string): Promise<CreatedSubscription> => {
  const path = '/v1/tenants/default/subscriptions';
  let token = '';
  do {
    const page = await api.get<Page<SubscriptionView>>(`${path}?page_size=250${token && `&page_token=${encodeURIComponent(token)}`}`);
    const earlier = page.data.filter(({ name, metadata }) => name === DEMO_NAME && metadata['made_by'] === 'npm start');
    for (const { id } of earlier) await api.delete(`${path}/${id}`);
    token = page.next_page_token ?? '';
  } while (token !== '');
  return api.post<CreatedSubscription>(path, { name: DEMO_NAME, url, event_types: ['demo.*'], metadata: { made_by: 'npm start' } });
};

const idOf = (request: Received): string => String(request.headers['webhook-id']);

/** The way of one event: produced to Kafka, delivered, its signature verified, recorded. Ends with an error where it breaks off. */
export const runShow = async ({ api, brokers, onDelivery, tell }: ShowOptions): Promise<Show> => {
  const sentMs = new Map<string, number>();
  const arrivedMs = new Map<string, number>();
  let secret = '';
  const receiver = await startReceiver({
    onRequest: (request) => {
      const now = performance.now();
      const sent = sentMs.get(idOf(request));
      sentMs.delete(idOf(request));
      const verification = verifySignature(request.headers, request.body, secret);
      const problem = verification.valid ? undefined : verification.reason;
      if (sent !== undefined && problem === undefined) arrivedMs.set(idOf(request), now - sent);
      else onDelivery(request, undefined, problem);
    },
  });
  const publisher = await connectPublisher({ brokers });
  const close = async (): Promise<void> => {
    await Promise.allSettled([receiver.close(), publisher.close()]);
  };
  try {
    const subscription = await subscribe(api, `${receiver.url}/webhooks`);
    ({ secret } = subscription);
    tell('Subscription', `demo.* → ${subscription.url} (${subscription.id})`);

    const publish = async (type: string, text: string): Promise<string> => {
      const id = randomUUID();
      sentMs.set(id, performance.now());
      await publisher.publish({ id, type, source: SOURCE, data: { text } });
      return id;
    };
    const first = await publish('demo.hello', 'Hello from Posthorn');
    tell('Event', `${first} produced to ${publisher.topic}`);

    const delivered = await firstDelivery(publish, first, arrivedMs, receiver);
    tell('Delivery', `signature verified, ${milliseconds(arrivedMs.get(delivered))} after the event was produced${delivered === first ? '' : ' (a second one; the first was not delivered in time)'}`);

    tell('Audit', await recorded(api, delivered));

    const warm: string[] = [];
    for (let i = 0; i < WARM_EVENTS; i += 1) {
      warm.push(await publish('demo.again', `Event ${i + 1} of ${WARM_EVENTS}`));
      await delay(WARM_EVERY_MS);
    }
    await eventually(() => warm.every((id) => arrivedMs.has(id)), {
      timeoutMs: DELIVERY_TIMEOUT_MS,
      describe: () => `the delivery of ${warm.filter((id) => !arrivedMs.has(id)).length} of ${WARM_EVENTS} more events`,
    });
    const times = warm.flatMap((id) => arrivedMs.get(id) ?? []);
    tell('Warm', `${WARM_EVENTS} more events: half within ${milliseconds(percentile(times, 0.5))}, the slowest ${milliseconds(Math.max(...times))}`);
    receiver.clear();
    arrivedMs.clear();
    return { subscription, receiver, publisher, close };
  } catch (error) {
    await close();
    throw error;
  }
};

const milliseconds = (ms = 0): string => `${ms < 10 ? ms.toFixed(1) : Math.round(ms)} ms`;

/**
 * A subscription takes some milliseconds to reach the router, an event on Kafka does not wait for it: should this one have been
 * faster, another is sent. Resolves with the id of the event that was delivered.
 */
const firstDelivery = async (
  publish: (type: string, text: string) => Promise<string>,
  first: string,
  arrivedMs: ReadonlyMap<string, number>,
  receiver: Receiver,
): Promise<string> => {
  const sent = [first];
  const arrived = () => sent.find((id) => arrivedMs.has(id));
  const deadline = performance.now() + DELIVERY_TIMEOUT_MS;
  for (;;) {
    try {
      return await eventually(arrived, { timeoutMs: RESEND_MS, everyMs: 2 });
    } catch {
      if (performance.now() > deadline) {
        const refused = receiver.requests.length;
        throw new Error(`no verified delivery within ${DELIVERY_TIMEOUT_MS / 1_000} s${refused > 0 ? ` (${refused} requests came, none with a valid signature)` : ''}`);
      }
      sent.push(await publish('demo.hello', 'Hello again from Posthorn'));
    }
  }
};

type AttemptView = { readonly number: number; readonly duration_ms: number; readonly response?: { readonly status: number } };

const recorded = async (api: Api, eventId: string): Promise<string> => {
  const path = '/v1/tenants/default/deliveries';
  const delivery = await eventually(
    async () => {
      const { data } = await api.get<Page<DeliveryView>>(`${path}?event_id=${encodeURIComponent(eventId)}`);
      return data.find(({ status }) => status === 'delivered');
    },
    { timeoutMs: AUDIT_TIMEOUT_MS, describe: `the delivery of event ${eventId} to stand in the audit as delivered` },
  );
  const { data } = await api.get<Page<AttemptView>>(`${path}/${delivery.id}/attempts`);
  const attempt = data.at(-1);
  return `${delivery.id} ${delivery.status}, attempt ${attempt?.number ?? '?'} answered ${attempt?.response?.status ?? '?'} in ${milliseconds(attempt?.duration_ms)}`;
};
