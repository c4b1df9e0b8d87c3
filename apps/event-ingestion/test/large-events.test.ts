import { randomBytes } from 'node:crypto';
import { afterAll, expect, it, jest } from '@jest/globals';
import { type Consumption, type OutgoingRecord, type Producer } from '@posthorn/kafka';
import { removeTopics } from '@posthorn/kafka/testing';
import { Admission } from '../src/catalogue/admission.js';
import { Catalogue } from '../src/catalogue/catalogue.js';
import { Schemas } from '../src/catalogue/schemas.js';
import { Violations } from '../src/catalogue/violations.js';
import { KafkaDoor } from '../src/kafka-door.js';
import { IN_FLIGHT_BYTES, KafkaSource } from '../src/kafka-source.js';
import { type Gate, Outlet } from '../src/outlet.js';
import { tenantState } from '../src/spec-support/states.js';
import { connect } from './support.js';

jest.setTimeout(120_000);

const MIB = 1024 * 1024;
const EVENTS = 300;
const AT_A_TIME = 20;
const EVENT_BYTES = 900 * 1024;
const HEADERS = { ce_type: 'large', 'content-type': 'application/octet-stream' };
/** A fetch is handed over whole. */
const FETCH_BYTES = 8 * MIB;

const prefix = `t${randomBytes(6).toString('hex')}`;
const kafka = connect(prefix);
afterAll(async () => {
  await kafka.close();
  await removeTopics(process.env['POSTHORN_KAFKA_BROKERS'] ?? '', prefix);
});

/** Holds back what is sent, as an event log does that has stopped answering. */
class HeldGate implements Gate {
  readonly #opened = Promise.withResolvers<void>();
  pendingBytes = 0;

  constructor(private readonly producer: Producer) {}

  async send({ record }: Parameters<Gate['send']>[0]): Promise<'accepted'> {
    await this.write(record);
    return 'accepted';
  }

  async write(record: OutgoingRecord): Promise<void> {
    const bytes = Buffer.byteLength(record.value ?? '');
    this.pendingBytes += bytes;
    await this.#opened.promise;
    await this.producer.send(record);
    this.pendingBytes -= bytes;
  }

  open(): void {
    this.#opened.resolve();
  }
}

const ignore = (): void => undefined;
const log = { debug: ignore, info: ignore, warn: ignore, error: ignore, fatal: ignore, isLevelEnabled: () => false };

it(`takes ${EVENTS} events of 900 KiB at once, and no more of them into memory than its bound`, async () => {
  await kafka.ensureTopics(['events.inbound', 'events.accepted', 'events.rejected']);
  const inbound = kafka.topic('events.inbound');
  const publisher = await kafka.producer();
  const value = randomBytes(EVENT_BYTES - 200);
  for (let sent = 0; sent < EVENTS; sent += AT_A_TIME) {
    const ids = Array.from({ length: AT_A_TIME }, (_, n) => `large-${sent + n}`);
    await Promise.all(ids.map((ce_id) => publisher.send({ topic: inbound, value, headers: { ...HEADERS, ce_id } })));
  }

  const schemas = new Schemas();
  const catalogue = new Catalogue(schemas);
  catalogue.tenants.changed(tenantState('default'));
  const violations = new Violations({ count: ignore, log });
  const gate = new HeldGate(await kafka.producer());
  let accepted = 0;
  let allAccepted: () => void = ignore;
  const outlet = new Outlet({
    door: 'kafka',
    gate,
    topics: { accepted: kafka.topic('events.accepted'), rejected: kafka.topic('events.rejected') },
    metrics: {
      observe: (outcome) => {
        expect(outcome).toBe('accepted');
        if (++accepted === EVENTS) allAccepted();
      },
    },
    log,
  });
  const admission = new Admission({ catalogue, schemas, violations, position: () => 0, readFresh: async () => undefined });
  const door = new KafkaDoor({ outlet, admission, maxEventBytes: EVENT_BYTES });

  const peak = { read: 0, held: 0 };
  let consumption: Consumption | undefined;
  let isFull: () => void = ignore;
  const full = new Promise<void>((resolve) => (isFull = resolve));
  const source = new KafkaSource({
    kafka: {
      partitions: (topic) => kafka.partitions(topic),
      consume: async (options) => (consumption = await kafka.consume(options)),
    },
    log,
    groupId: `${prefix}.large`,
    topic: inbound,
    onRecord: (record) => {
      door.onRecord(record);
      peak.read = Math.max(peak.read, consumption?.inFlightBytes ?? 0);
      peak.held = Math.max(peak.held, gate.pendingBytes);
      if (peak.read >= IN_FLIGHT_BYTES) isFull();
    },
    totalBytes: IN_FLIGHT_BYTES,
  });
  const done = new Promise<void>((resolve) => (allAccepted = resolve));
  await source.open();
  await full;
  // While another reads all there is, whoever was going to read on does so.
  const follower = await kafka.follow({ topic: inbound, onRecord: ignore });
  await follower.caughtUp;
  gate.open();
  await done;
  await source.close();

  expect(EVENTS * EVENT_BYTES).toBeGreaterThan(3 * IN_FLIGHT_BYTES);
  expect(peak.read).toBeLessThan(IN_FLIGHT_BYTES + FETCH_BYTES + MIB);
  expect(peak.held).toBeLessThan((4 / 3) * (IN_FLIGHT_BYTES + FETCH_BYTES + MIB));
});
