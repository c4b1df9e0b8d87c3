import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { recordSchemas, SCHEMA_HEADER, SCHEMA_VERSION } from '@posthorn/contracts';
import type { OutgoingRecord } from '@posthorn/kafka';
import { Duplicates } from './duplicates.js';

const ignore = (): void => undefined;
const A_SECOND = 1_000;

/** A Kafka that takes records or not, as the test says. */
const given = () => {
  const sent: OutgoingRecord[] = [];
  const warnings: object[] = [];
  const kafka = { isAway: false };
  const duplicates = new Duplicates({
    topic: 't',
    send: async (record) => {
      if (kafka.isAway) throw new Error('away');
      sent.push(record);
    },
    onDropped: ignore,
    log: { debug: ignore, info: ignore, warn: (fields: object) => void warnings.push(fields), error: ignore, fatal: ignore },
  });
  const told = () => sent.flatMap(({ value }) => recordSchemas.duplicated.parse(JSON.parse(String(value))).duplicates.map(({ event_id, count }) => `${event_id} ${count}`));
  return { duplicates, sent, told, warnings, kafka };
};

describe('telling of duplicates', () => {
  beforeEach(() => {
    jest.useFakeTimers();
  });
  afterEach(() => {
    jest.useRealTimers();
  });

  it('comes once a second, with what has come meanwhile', async () => {
    const { duplicates, sent, told } = given();
    for (let i = 0; i < 10_000; i += 1) duplicates.note('acme', 'e1');
    duplicates.note('acme', 'e2');
    expect(sent).toEqual([]);
    await jest.advanceTimersByTimeAsync(A_SECOND);
    expect(sent).toMatchObject([{ topic: 't', headers: { [SCHEMA_HEADER]: SCHEMA_VERSION } }]);
    expect(told()).toEqual(['e1 10000', 'e2 1']);
    await jest.advanceTimersByTimeAsync(10 * A_SECOND);
    expect(sent).toHaveLength(1);
    duplicates.note('acme', 'e1');
    await jest.advanceTimersByTimeAsync(A_SECOND);
    expect(told().at(-1)).toBe('e1 10001');
  });

  it('goes on by itself when Kafka was away', async () => {
    const { duplicates, told, warnings, kafka } = given();
    kafka.isAway = true;
    duplicates.note('acme', 'e1');
    await jest.advanceTimersByTimeAsync(A_SECOND);
    expect([told(), warnings.length]).toEqual([[], 1]);
    kafka.isAway = false;
    await jest.advanceTimersByTimeAsync(A_SECOND);
    expect(told()).toEqual(['e1 1']);
  });

  it('takes as many records as ids need, so that Kafka takes each', async () => {
    const { duplicates, sent, told } = given();
    for (let i = 0; i < 1_200; i += 1) duplicates.note('acme', `${'x'.repeat(250)}${i}`);
    await jest.advanceTimersByTimeAsync(A_SECOND);
    expect([sent.length, told().length]).toEqual([3, 1_200]);
    expect(Math.max(...sent.map(({ value }) => value?.length ?? 0))).toBeLessThan(1024 * 1024);
  });

  it('ends with what there is to tell', async () => {
    const { duplicates, told } = given();
    duplicates.note('acme', 'e1');
    await duplicates.close();
    expect(told()).toEqual(['e1 1']);
    duplicates.note('acme', 'e1');
    await jest.advanceTimersByTimeAsync(A_SECOND);
    expect(told()).toHaveLength(1);
  });
});
