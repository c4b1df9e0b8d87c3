import { describe, expect, it } from '@jest/globals';
import { eventLimits, type Envelope } from '@posthorn/contracts';
import { roundsRecords, type Sendable } from './records.js';

const MOST_BYTES = 1024 * 1024;

/** With the longest texts that there are, in a script that takes three bytes for each character. */
const largest = (n: number): Sendable => {
  const envelope: Envelope = {
    specversion: '1.0',
    id: '\u5927'.repeat(eventLimits.id),
    tenant: 't'.repeat(64),
    type: 't'.repeat(eventLimits.type),
    source: '/',
    subject: '\u5927'.repeat(eventLimits.subject),
    time: '2026-11-20T12:00:00.000Z',
    acceptedtime: '2026-11-20T12:00:00.000Z',
  };
  const round = {
    id: String(n),
    day: '2026-11-20',
    delivery_id: n.toString(16).padStart(32, '0'),
    round: 1,
    tenant: envelope.tenant,
    event_id: envelope.id,
    subscription_id: 'sub_1',
    spread: 1,
    position: 1,
    trigger: 'replay' as const,
    at: envelope.time,
    actor: 'a'.repeat(64),
    replay_id: `rpl_${'0'.repeat(32)}`,
    forced: true,
  };
  return { round, event: { envelope, data: Buffer.from('{}') } };
};

describe('what the history is told of rounds', () => {
  it('fits into records that Kafka takes, however long ids and subjects are, and leaves none out', () => {
    const records = roundsRecords(Array.from({ length: 1_000 }, (_, n) => largest(n)), { name: 'rounds', partitions: 12 });
    const values = records.map(({ value }) => String(value));
    expect(Math.max(...values.map((value) => Buffer.byteLength(value)))).toBeLessThan(MOST_BYTES);
    expect(values.flatMap((value) => (JSON.parse(value) as { rounds: object[] }).rounds)).toHaveLength(1_000);
  });
});
