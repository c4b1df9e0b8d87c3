/**
 * The producers of the bench in one process: events of 1 KB to `events.inbound`, or to the REST door one a call, at once or at a rate that no answer
 * slows. `node generator.ts <brokers> <URL of the ingestion> <API key>`
 */
import { topicOnBroker } from '@posthorn/contracts';
import { Kafka } from '@posthorn/kafka';
import { Agent } from 'undici';
import { kilobyte } from '../support/measure.ts';
import { nowMicros } from './clock.ts';
import { eventId } from './event-id.ts';
import type { Door, GeneratorAsks, Load, Produced } from './messages.ts';
import { dueCount, dueMicros, stampMicros, type Pace } from './pacing.ts';
import { answer } from './worker.ts';

const [, , brokers = '', origin = '', apiKey = ''] = process.argv;
const TOPIC_PREFIX = 'posthorn';
const LOOK_EVERY_MS = 1;
/** Of a load that comes all at once, what may be under way. */
const PENDING_BYTES = 16 * 1024 * 1024;
const REASONS = 10;

const ignore = (): void => {};
const kafka = new Kafka(
  { brokers: brokers.split(','), ssl: false, clientId: 'bench', topicPrefix: TOPIC_PREFIX },
  { debug: ignore, info: ignore, warn: ignore, error: ignore, fatal: ignore },
);
const producer = await kafka.producer();
const agent = new Agent({ connections: 256, pipelining: 1 });
const topic = topicOnBroker(TOPIC_PREFIX, 'events.inbound');
const data = JSON.stringify(kilobyte);
const value = Buffer.from(data);
const time = new Date().toISOString();

type Send = (id: string, type: string) => Promise<void>;

const send: Readonly<Record<Door, Send>> = {
  kafka: (id, type) =>
    producer.send({
      topic,
      key: id,
      value,
      headers: { ce_specversion: '1.0', ce_id: id, ce_type: type, ce_source: '/bench', ce_time: time, ce_tenant: 'default', 'content-type': 'application/json' },
    }),
  rest: async (id, type) => {
    const { statusCode, body } = await agent.request({
      origin,
      path: '/v1/tenants/default/events',
      method: 'POST',
      headers: { authorization: `Bearer ${apiKey}`, 'content-type': 'application/json' },
      body: `{"id":"${id}","type":"${type}","source":"/bench","data":${data}}`,
    });
    const text = await body.text();
    if (statusCode !== 202) throw new Error(`${statusCode} ${text.slice(0, 200)}`);
  },
};

const produce = async ({ run, door, types, events, perSecond }: Load): Promise<Produced> => {
  const startMicros = nowMicros();
  const lateMicros = new Uint32Array(perSecond === undefined ? 0 : events);
  const refused: string[] = [];
  let acknowledged = 0;
  let settled = 0;
  let allSettled: () => void = ignore;
  const end = new Promise<void>((resolve) => (allSettled = resolve));

  const one = (sequence: number, stamp: number): void => {
    void send[door](eventId({ run, sequence, dueMicros: stamp }), types[sequence % types.length] ?? '')
      .then(
        () => (acknowledged += 1),
        (error: unknown) => refused.length < REASONS && refused.push(String(error)),
      )
      .then(() => ((settled += 1) === events ? allSettled() : undefined));
  };

  if (perSecond === undefined) await atOnce(events, (sequence) => one(sequence, nowMicros()));
  else {
    await atPace({ startMicros, perSecond, events }, (sequence, due, now) => {
      lateMicros[sequence] = now - due;
      one(sequence, stampMicros(due, now));
    });
  }
  if (events > 0) await end;
  return { acknowledged, refused, seconds: (nowMicros() - startMicros) / 1e6, lateMicros };
};

const atPace = (pace: Pace, each: (sequence: number, due: number, now: number) => void): Promise<void> =>
  new Promise((resolve) => {
    let sent = 0;
    const look = (): void => {
      for (let now = nowMicros(); sent < dueCount(pace, now); sent += 1, now = nowMicros()) each(sent, dueMicros(pace, sent), now);
      if (sent === pace.events) resolve();
      else setTimeout(look, Math.max(LOOK_EVERY_MS, Math.floor((dueMicros(pace, sent) - nowMicros()) / 1_000)));
    };
    look();
  });

/** As quickly as they are taken. */
const atOnce = async (events: number, each: (sequence: number) => void): Promise<void> => {
  for (let sequence = 0; sequence < events; sequence += 1) {
    each(sequence);
    while (producer.pendingBytes > PENDING_BYTES) await new Promise((resolve) => void setTimeout(resolve, LOOK_EVERY_MS));
  }
};

answer<GeneratorAsks>(produce);
