import { describe, expect, it } from '@jest/globals';
import { type Envelope, unframe } from '@posthorn/contracts';
import { type IncomingRecord, MAX_MESSAGE_BYTES, type OutgoingRecord } from '@posthorn/kafka';
import { array, assert, asyncProperty, constantFrom, nat, record as recordArbitrary } from 'fast-check';
import { rejectedRecord, rejection } from './acceptance/reject.js';
import { Admission } from './catalogue/admission.js';
import { Catalogue } from './catalogue/catalogue.js';
import { Schemas } from './catalogue/schemas.js';
import { Violations } from './catalogue/violations.js';
import { judgeRecord, KafkaDoor, readForms } from './kafka-door.js';
import { type Gate, Outlet } from './outlet.js';
import { tenantState } from './spec-support/states.js';

const ignore = (): void => undefined;
const log = { debug: ignore, info: ignore, warn: ignore, error: ignore, fatal: ignore, isLevelEnabled: () => false };

const recordOf = (value: string, offset: number, more: Partial<IncomingRecord> = {}) => {
  const record = {
    topic: 'in',
    partition: 0,
    offset: String(offset),
    timestampMs: Date.now() - 1_000,
    key: null,
    value: Buffer.from(value),
    headers: {},
    revoked: false,
    times: 0,
    done: () => void record.times++,
    ...more,
  };
  return record;
};

const tick = (): Promise<void> => new Promise((resolve) => void setImmediate(resolve));

/** A door in front of a Kafka that takes everything; `appear` is when readings of the registry find what they had not. */
const given = (known: readonly string[]) => {
  const sent: OutgoingRecord[] = [];
  const gate: Gate = {
    pendingBytes: 0,
    send: async ({ record }) => {
      sent.push(record);
      await tick();
      return 'accepted';
    },
    write: async (record) => void sent.push(record),
  };
  const schemas = new Schemas();
  const catalogue = new Catalogue(schemas);
  for (const tenant of known) catalogue.tenants.changed(tenantState(tenant));
  const unread: string[] = [];
  const readings: (() => void)[] = [];
  const appear = (): void => {
    for (const tenant of unread.splice(0)) catalogue.tenants.changed(tenantState(tenant));
    for (const finish of readings.splice(0)) finish();
  };
  const admission = new Admission({
    catalogue,
    schemas,
    violations: new Violations({ count: ignore, log }),
    position: () => 0,
    readFresh: () => new Promise((resolve) => void readings.push(resolve)),
  });
  const outlet = new Outlet({ door: 'kafka', gate, topics: { accepted: 'accepted', rejected: 'rejected' }, metrics: { observe: ignore }, log });
  return { door: new KafkaDoor({ outlet, admission, maxEventBytes: 1_000 }), sent, unread, appear };
};

type Step = { readonly tenant: string; readonly bad: boolean; readonly pause: number };

const steps = array(
  recordArbitrary({
    tenant: constantFrom('acme', 'other', 'late', 'later', 'nobody'),
    bad: nat(4).map((n) => n === 0),
    pause: nat(6),
  }),
  { minLength: 5, maxLength: 60 },
);

const numbersBy = (sent: readonly OutgoingRecord[]): ReadonlyMap<string, readonly number[]> => {
  const numbers = new Map<string, number[]>();
  for (const { topic, value } of sent) {
    if (topic !== 'accepted') continue;
    const { head, data } = unframe<Envelope>(Buffer.from(value ?? ''));
    numbers.set(head.tenant, [...(numbers.get(head.tenant) ?? []), Number(data)]);
  }
  return numbers;
};

describe('events of one partition', () => {
  it("leave in the order in which their tenant's came, whatever is refused, and whoever is being looked up, in between", async () => {
    await assert(
      asyncProperty(steps, async (history: readonly Step[]) => {
        const { door, sent, unread, appear } = given(['acme', 'other']);
        unread.push('late', 'later');
        const records = history.map(({ tenant, bad }, n) => recordOf(bad ? '{' : `{"type":"a","tenant":"${tenant}","data":${n}}`, n));
        for (const [n, { pause }] of history.entries()) {
          const record = records[n];
          if (record) door.onRecord(record);
          // From nothing, over a few microtasks, in which answers arrive half way, to all that is under way having come to its end.
          if (pause >= 4) appear();
          for (let i = 0; i < pause; i++) await Promise.resolve();
          if (pause === 6) await tick();
        }
        while (records.some(({ times }) => times === 0)) {
          appear();
          await tick();
        }

        const expected = new Map<string, number[]>();
        for (const [n, { tenant, bad }] of history.entries()) {
          if (!bad && tenant !== 'nobody') expected.set(tenant, [...(expected.get(tenant) ?? []), n]);
        }
        expect(new Map(numbersBy(sent))).toEqual(expected);
        expect(sent.filter(({ topic }) => topic === 'rejected')).toHaveLength(history.filter(({ tenant, bad }) => bad || tenant === 'nobody').length);
        expect(records.every(({ times }) => times === 1)).toBe(true);
      }),
      { numRuns: 300, seed: 5 },
    );
  });

  it('do not wait for those of another tenant', async () => {
    const { door, sent } = given(['acme']);
    door.onRecord(recordOf('{"type":"a","tenant":"late","data":0}', 0));
    door.onRecord(recordOf('{"type":"a","tenant":"acme","data":1}', 1));
    await tick();
    expect([...numbersBy(sent).keys()]).toEqual(['acme']);
  });
});

describe('a record that quotes too much of itself', () => {
  const MOST_BYTES = 900 * 1024;
  const NOT_UTF8 = Buffer.from([0xff]);

  it.each([
    ['by a content type that is none of ours', '{}', { 'content-type': Buffer.from(`application/cloudevents${'\u0001'.repeat(400_000)}`) }],
    ['by the name of a header', '{}', { ce_type: Buffer.from('a'), [`ce_${'x'.repeat(1_100_000)}`]: NOT_UTF8 }],
    ['by the type of its data', `{"type":"a","data":1,"content_type":"a/b;${'\\"'.repeat(1_200_000)}"}`, {}],
  ])('%s, has a rejection that a record can hold', (_, value, headers) => {
    const record = recordOf(value, 0, { headers });
    const verdict = judgeRecord(record, readForms, Date.now(), MOST_BYTES);
    if (verdict.kind !== 'refused') throw new Error('not refused');
    const rejected = rejectedRecord(rejection(verdict, { id: 'rej_1', door: 'kafka', headers, value: record.value }, 0));
    expect(Buffer.byteLength(rejected.value)).toBeLessThan(MAX_MESSAGE_BYTES);
  });
});

describe('the day of an event', () => {
  const NOW_MS = Date.UTC(2026, 10, 21, 12);
  const acceptedAt = (timestampMs: number): string | undefined => {
    const verdict = judgeRecord(recordOf('{"type":"a","data":1}', 0, { timestampMs }), readForms, NOW_MS, 1_000);
    return verdict.kind === 'accepted' ? verdict.envelope.acceptedtime : undefined;
  };

  it.each([
    ["is the record's", Date.UTC(2026, 10, 20), '2026-11-20T00:00:00.000Z'],
    ['is not in the future', Date.UTC(2026, 10, 22), '2026-11-21T12:00:00.000Z'],
    ['is today for a record that is older than a week', Date.UTC(2026, 10, 13), '2026-11-21T12:00:00.000Z'],
    ['is today for a record without a time', -1, '2026-11-21T12:00:00.000Z'],
  ])('%s', (_, timestampMs, expected) => {
    expect(acceptedAt(timestampMs)).toBe(expected);
  });
});
