import { describe, expect, it } from '@jest/globals';
import type { Rejection } from '@posthorn/contracts';
import { type IncomingRecord, KafkaError, type OutgoingRecord, type Producer } from '@posthorn/kafka';
import { heldBytes } from '@posthorn/testkit';
import { Admission } from './catalogue/admission.js';
import { Catalogue } from './catalogue/catalogue.js';
import { Schemas } from './catalogue/schemas.js';
import { Violations } from './catalogue/violations.js';
import { KafkaDoor } from './kafka-door.js';
import { Outlet } from './outlet.js';
import { Publishing } from './publishing.js';
import { RateLimits } from './rate-limit.js';
import { RestDoor } from './rest-door.js';
import { gateTo } from './spec-support/gate.js';
import { tenantState } from './spec-support/states.js';

const tick = (): Promise<void> => new Promise((resolve) => void setImmediate(resolve));

/** A Kafka that answers when, and what, the test says. */
class ScriptedProducer implements Producer {
  pendingBytes = 0;
  readonly sent: { record: OutgoingRecord; deadlineMs: number | undefined; answer: (error?: Error) => void }[] = [];

  send(record: OutgoingRecord, options: { deadlineMs?: number | undefined } = {}): Promise<void> {
    return new Promise((resolve, reject) => {
      const answer = (error?: Error): void => (error ? reject(error) : resolve());
      this.sent.push({ record, deadlineMs: options.deadlineMs, answer });
    });
  }

  async flush(): Promise<void> {}

  async close(): Promise<void> {}
}

class Lines {
  readonly info: object[] = [];
  readonly level = 'info';
}

const ignore = (): void => undefined;

const given = (door: 'kafka' | 'rest') => {
  const producer = new ScriptedProducer();
  const outcomes: string[] = [];
  const lines = new Lines();
  const log = {
    debug: ignore,
    info: (fields: object) => void lines.info.push(fields),
    warn: ignore,
    error: ignore,
    fatal: ignore,
    isLevelEnabled: (level: string) => level !== 'debug',
  };
  const schemas = new Schemas();
  const catalogue = new Catalogue(schemas);
  catalogue.tenants.changed(tenantState('default'));
  const violations = new Violations({ count: ignore, log });
  const admission = new Admission({ catalogue, schemas, violations, position: () => 0, readFresh: async () => undefined });
  const outlet = new Outlet({
    door,
    gate: gateTo(producer),
    topics: { accepted: 'accepted', rejected: 'rejected' },
    metrics: { observe: (outcome) => void outcomes.push(outcome) },
    log,
    ...(door === 'rest' && { deadlineMs: 5000 }),
  });
  return { producer, outcomes, lines, log, catalogue, admission, outlet, maxEventBytes: 1000 };
};

const AN_HOUR_AGO_MS = Date.now() - 3_600_000;

const recordOf = (value: string | null, offset = '7', headers: Record<string, Buffer> = {}) => {
  const record = {
    topic: 'in',
    partition: 1,
    offset,
    timestampMs: AN_HOUR_AGO_MS,
    key: null,
    value: value === null ? null : Buffer.from(value),
    headers,
    revoked: false,
    times: 0,
    done: () => void record.times++,
  };
  return record satisfies IncomingRecord & { times: number };
};

describe('a record', () => {
  it.each([
    ['accepted', '{"type":"a","data":1}'],
    ['rejected', '{"data":1}'],
  ])('is done when Kafka has what was %s, and not before', async (topic, value) => {
    const { producer, outcomes, ...parts } = given('kafka');
    const record = recordOf(value);
    new KafkaDoor(parts).onRecord(record);
    await tick();
    expect(producer.sent.map(({ record, deadlineMs }) => [record.topic, deadlineMs])).toEqual([[topic, undefined]]);
    expect(record.times).toBe(0);
    producer.sent[0]?.answer();
    await tick();
    expect(record.times).toBe(1);
    expect(outcomes).toEqual([topic]);
  });

  it.each<[string, Record<string, Buffer>]>([
    ['no headers', {}],
    ['the content type of a CloudEvent in structured mode', { 'content-type': Buffer.from('application/cloudevents+json'), ce_type: Buffer.from('a') }],
  ])('without a value, with %s, is skipped and counted', (_, headers) => {
    const { producer, outcomes, ...parts } = given('kafka');
    const record = recordOf(null, '7', headers);
    new KafkaDoor(parts).onRecord(record);
    expect([producer.sent.length, outcomes, record.times]).toEqual([0, ['skipped'], 1]);
  });

  it('without a value is an event without data when it has the headers of a CloudEvent', () => {
    const { producer, ...parts } = given('kafka');
    new KafkaDoor(parts).onRecord(recordOf(null, '7', { ce_type: Buffer.from('a') }));
    expect(String(producer.sent[0]?.record.value)).toMatch(/"data":null\}$/);
  });

  it('refused twice is one rejection', () => {
    const { producer, ...parts } = given('kafka');
    const door = new KafkaDoor(parts);
    for (const offset of ['7', '7', '8']) door.onRecord(recordOf('{', offset));
    const ids = producer.sent.map(({ record }) => (JSON.parse(String(record.value)) as Rejection).rejection_id);
    expect(ids[0]).toMatch(/^rej_[\da-f]{32}$/);
    expect([ids[1] === ids[0], ids[2] === ids[0]]).toEqual([true, false]);
  });

  it('is not done when the producer closes first', async () => {
    const { producer, ...parts } = given('kafka');
    const record = recordOf('{"type":"a","data":1}');
    new KafkaDoor(parts).onRecord(record);
    producer.sent[0]?.answer(new KafkaError('closed', 'closing'));
    await tick();
    expect(record.times).toBe(0);
  });

  it('read twice is one event, of one day', async () => {
    const { producer, ...parts } = given('kafka');
    const door = new KafkaDoor(parts);
    door.onRecord(recordOf('{"type":"a","data":1}'));
    door.onRecord(recordOf('{"type":"a","data":1}'));
    door.onRecord(recordOf('{"type":"a","data":1}', '8'));
    const [first, again, other] = producer.sent.map(({ record }) => String(record.value));
    expect(again).toBe(first);
    expect(other).not.toBe(first);
    expect(first).toContain(`"acceptedtime":"${new Date(AN_HOUR_AGO_MS).toISOString()}"`);
  });

  it('that is refused leaves one line in the log', async () => {
    const { producer, lines, ...parts } = given('kafka');
    new KafkaDoor(parts).onRecord(recordOf('{"data":1,"id":"7"}'));
    producer.sent[0]?.answer();
    await tick();
    const record = { topic: 'in', partition: 1, offset: '7' };
    expect(lines.info).toMatchObject([{ door: 'kafka', code: 'invalid', path: 'type', event_id: '7', tenant: 'default', record }]);
  });
});

const opened = (more: { isOpen?: boolean; pendingBytes?: number; perKey?: number; deadlineMs?: number; maxEventBytes?: number } = {}) => {
  const parts = { ...given('rest'), ...(more.maxEventBytes !== undefined && { maxEventBytes: more.maxEventBytes }) };
  parts.producer.pendingBytes = more.pendingBytes ?? 0;
  const limits = new RateLimits({ perKey: more.perKey ?? 0, perTenant: 0 });
  const publishing = new Publishing({ ...parts, notes: { note: async () => ({ kind: 'known' as const }) }, limits, isOpen: () => more.isOpen ?? true, maxPendingBytes: 100, deadlineMs: more.deadlineMs ?? 5_000 });
  const door = new RestDoor(publishing);
  return { ...parts, door };
};

const request = (body: string) => ({ tenant: 'default', actor: 'key_1', headers: { 'content-type': 'application/json' }, body: Buffer.from(body) });
const EVENT = '{"type":"a","data":1}';
const away = new KafkaError('unavailable', 'no answer');

describe('a request', () => {
  it('is answered when Kafka has acknowledged its event, and not before', async () => {
    const { producer, door } = opened();
    let answer: unknown;
    const answered = door.publish(request(EVENT)).then((value) => (answer = value));
    await tick();
    expect(producer.sent[0]?.deadlineMs).toBeGreaterThan(4_000);
    expect(producer.sent[0]?.deadlineMs).toBeLessThanOrEqual(5_000);
    expect(answer).toBeUndefined();
    producer.sent[0]?.answer();
    await answered;
    expect(answer).toEqual({ id: expect.stringMatching(/^evt_[\da-f]{32}$/) });
  });

  it.each([
    ['while the tenants are not known', { isOpen: false }],
    ['while too much waits for Kafka', { pendingBytes: 101 }],
  ])('is turned away at once %s', async (_, more) => {
    const { producer, door } = opened(more);
    const problem = { code: 'unavailable', status: 503, headers: { 'retry-after': '1' } };
    await expect(door.publish(request(EVENT))).rejects.toMatchObject(problem);
    await expect(door.publishBatch(request(`{"events":[${EVENT}]}`))).rejects.toMatchObject(problem);
    expect(producer.sent).toEqual([]);
  });

  it('is a 503 when Kafka does not acknowledge in time', async () => {
    const { producer, door, outcomes } = opened();
    const answered = door.publish(request(EVENT));
    await tick();
    producer.sent[0]?.answer(away);
    await expect(answered).rejects.toMatchObject({ code: 'unavailable', headers: { 'retry-after': '1' } });
    expect(outcomes).toEqual(['unavailable']);
  });

  it('is told what is wrong with it even when that cannot be recorded', async () => {
    const { producer, door } = opened();
    const answered = door.publish(request('{"data":1}'));
    await tick();
    producer.sent[0]?.answer(away);
    await expect(answered).rejects.toMatchObject({ code: 'invalid', errors: [{ path: 'type' }] });
  });

  it('of many is answered event by event when Kafka took some', async () => {
    const { producer, door } = opened();
    const answered = door.publishBatch(request(`{"events":[{"id":"1","type":"a","data":1},{"id":"2","type":"a","data":1},{"data":1}]}`));
    await tick();
    const [first, second, third] = producer.sent;
    first?.answer(away);
    second?.answer();
    third?.answer();
    expect(await answered).toMatchObject({
      results: [{ error: { code: 'unavailable' } }, { id: '2' }, { error: { code: 'invalid', path: 'events[2].type' } }],
    });
  });

  it.each([
    ['alone', (door: RestDoor, data: string) => door.publish(request(`{"type":"a","data":${data}}`))],
    ['in a batch', (door: RestDoor, data: string) => door.publishBatch(request(`{"events":[{"type":"a","data":${data}}]}`))],
  ])('waits for Kafka as it was written, not as what it is parsed to: %s', async (_, publish) => {
    const { producer, door } = opened({ maxEventBytes: 200_000 });
    const data = `[${'[],'.repeat(40_000)}[]]`;
    const before = heldBytes();
    const answered = Array.from({ length: 10 }, () => publish(door, data));
    await tick();
    // Ten times 40,000 arrays, of 16 bytes each at least.
    expect(heldBytes() - before).toBeLessThan(6_400_000);
    for (const { answer } of producer.sent) answer();
    expect((await Promise.all(answered)).length).toBe(10);
  });

  it('of many is a 503 when Kafka took none', async () => {
    const { producer, door } = opened();
    const answered = door.publishBatch(request(`{"events":[${EVENT},${EVENT}]}`));
    await tick();
    for (const { answer } of producer.sent) answer(away);
    await expect(answered).rejects.toMatchObject({ code: 'unavailable' });
  });

  it('of more events than may come is turned away, and told when to come again', async () => {
    const { producer, door } = opened({ perKey: 10 });
    const batch = request(`{"events":[${Array.from({ length: 10 }, () => EVENT).join(',')}]}`);
    const answered = door.publishBatch(batch);
    await tick();
    expect(producer.sent).toHaveLength(10);
    for (const { answer } of producer.sent) answer();
    await answered;
    const problem = { code: 'rate_limited', status: 429, headers: { 'retry-after': '1' } };
    await expect(door.publish(request(EVENT))).rejects.toMatchObject(problem);
    await expect(door.publishBatch(batch)).rejects.toMatchObject(problem);
    expect(producer.sent).toHaveLength(10);
  });

  it.each([
    ['its event', EVENT, 'unavailable'],
    ['what is refused of it', '{"data":1}', 'invalid'],
  ])('that has waited for room has as much less time for %s', async (_what, body, code) => {
    const { producer, door } = opened({ deadlineMs: 60_000 });
    const place = { waitedMs: 60_000, shrinkTo: () => undefined, leave: () => undefined };
    const answered = door.publish({ ...request(body), place }).catch((error: unknown) => error);
    await tick();
    expect(producer.sent.map(({ deadlineMs }) => deadlineMs)).toEqual([0]);
    producer.sent[0]?.answer(away);
    expect(await answered).toMatchObject({ code });
  });

  it('is a 503 in time, whatever becomes of what the producer still tries', async () => {
    const { producer, door } = opened({ deadlineMs: 20 });
    await expect(door.publish(request(EVENT))).rejects.toMatchObject({ code: 'unavailable' });
    producer.sent[0]?.answer(away);
    const batch = await door.publishBatch(request(`{"events":[{"data":1}]}`));
    expect(batch).toMatchObject({ results: [{ error: { code: 'invalid' } }] });
  });
});
