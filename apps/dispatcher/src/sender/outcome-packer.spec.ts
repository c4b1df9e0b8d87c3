import { describe, expect, it } from '@jest/globals';
import type { Attempted, Outcome } from '@posthorn/contracts';
import { MAX_MESSAGE_BYTES, type OutgoingRecord } from '@posthorn/kafka';
import { OutcomePacker } from './outcome-packer.js';

const outcome = (n: number): Outcome => ({
  delivery_id: `dlv_${n}`,
  tenant: 'default',
  event_id: `evt_${n}`,
  event_type: 'x',
  accepted_at: '2026-01-01T00:00:00.000Z',
  subscription_id: 'sub_1',
  round: 0,
  number: 1,
  trigger: 'first',
  status: 'delivered',
  at: '2026-01-01T00:00:00.000Z',
});

const turn = (): Promise<void> => new Promise((resolve) => void setImmediate(resolve));

const packing = () => {
  const sent: { record: OutgoingRecord; acknowledge: () => void; fail: (error: Error) => void }[] = [];
  const packer = new OutcomePacker(
    't',
    (record) => new Promise((acknowledge, fail) => void sent.push({ record, acknowledge, fail })),
  );
  const sizes = (): number[] => sent.map(({ record }) => (JSON.parse(String(record.value)) as Attempted).outcomes.length);
  return { packer, sent, sizes };
};

describe('the packer of outcomes', () => {
  it('writes what ends in one turn of the event loop as one record', async () => {
    const { packer, sizes } = packing();
    for (let n = 0; n < 5; n += 1) void packer.write(0, outcome(n));
    await turn();
    expect(sizes()).toEqual([5]);
  });

  it('collects what ends while a record is under way, up to the size of a pack, per partition', async () => {
    const { packer, sent, sizes } = packing();
    const first = packer.write(0, outcome(0));
    await turn();
    for (let n = 1; n <= 100; n += 1) void packer.write(0, outcome(n));
    void packer.write(1, outcome(101));
    await turn();
    expect(sizes()).toEqual([1, 1]);
    sent[0]?.acknowledge();
    await first;
    await turn();
    expect(sizes()).toEqual([1, 1, 64]);
    sent[2]?.acknowledge();
    await turn();
    expect(sizes()).toEqual([1, 1, 64, 36]);
  });

  it('writes no record that Kafka would refuse, whatever receivers answer', async () => {
    const { packer, sent, sizes } = packing();
    const body = '\u0001'.repeat(4_096);
    const hostile = { started_at: '2026-01-01T00:00:00.000Z', duration_ms: 1, request: { url: 'http://x', headers: {} }, response: { status: 500, headers: { a: '"'.repeat(4_095) }, body, truncated: true } };
    for (let n = 0; n < 64; n += 1) void packer.write(0, { ...outcome(n), attempt: hostile });
    for (let written = 0; written < 64; written += sizes().at(-1) ?? 0) {
      await turn();
      sent.at(-1)?.acknowledge();
    }
    for (const { record } of sent) expect(Buffer.byteLength(String(record.value))).toBeLessThan(MAX_MESSAGE_BYTES / 2 + 1_024);
    expect(sizes().reduce((sum, size) => sum + size)).toBe(64);
  });

  it('fails exactly the outcomes of a record that failed, and goes on', async () => {
    const { packer, sent, sizes } = packing();
    const failing = packer.write(0, outcome(0));
    await turn();
    sent[0]?.fail(new Error('refused'));
    await expect(failing).rejects.toThrow('refused');
    const next = packer.write(0, outcome(1));
    await turn();
    sent[1]?.acknowledge();
    await next;
    expect(sizes()).toEqual([1, 1]);
  });
});
