import { describe, expect, it } from '@jest/globals';
import { recordSchemas, type Attempted, type Outcome, type Postponement } from '@posthorn/contracts';
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

const postponement = (n: number, more: Partial<Postponement> = {}): Postponement => ({
  delivery_id: `dlv_${n}`,
  tenant: 'default',
  event_id: `evt_${n}`,
  event_type: 'x',
  accepted_at: '2026-01-01T00:00:00.000Z',
  subscription_id: 'sub_1',
  round: 0,
  number: 1,
  at: '2026-01-01T00:00:00.000Z',
  cause: 'slow',
  ...more,
});

const turn = (): Promise<void> => new Promise((resolve) => void setImmediate(resolve));

const packing = () => {
  const sent: { record: OutgoingRecord; acknowledge: () => void; fail: (error: Error) => void }[] = [];
  const timers: { readonly ms: number; readonly run: () => void }[] = [];
  const packer = new OutcomePacker({
    topic: 't',
    send: (record) => new Promise((acknowledge, fail) => void sent.push({ record, acknowledge, fail })),
    soon: setImmediate,
    setTimer: (ms, run) => void timers.push({ ms, run }),
  });
  const sizes = (): number[] => sent.map(({ record }) => (JSON.parse(String(record.value)) as Attempted).outcomes.length);
  const postponed = (): number[] => sent.map(({ record }) => (JSON.parse(String(record.value)) as Attempted).postponed?.length ?? 0);
  /** Those that wait have waited long enough for others. */
  const pass = (): Promise<void> => {
    for (const { run } of timers.splice(0)) run();
    return turn();
  };
  return { packer, sent, timers, sizes, postponed, pass };
};

describe('the packer of outcomes', () => {
  it('lets what has ended wait a moment for company, from the first on, and writes all partitions at once', async () => {
    const { packer, sent, timers, sizes, pass } = packing();
    for (let n = 0; n < 5; n += 1) {
      void packer.write(n % 2, outcome(n), false);
      await turn();
    }
    void packer.writePostponement(2, postponement(6), false);
    expect([sent.length, timers.map(({ ms }) => ms)]).toEqual([0, [20]]);
    await pass();
    expect(sizes()).toEqual([3, 2, 0]);
    expect(timers).toEqual([]);
    void packer.write(3, outcome(7), false);
    expect(timers.length).toBe(1);
  });

  it('has nobody wait longer for company than for Kafka', async () => {
    const { packer, sent, sizes, pass } = packing();
    void packer.write(0, outcome(0), false);
    await pass();
    void packer.write(0, outcome(1), false);
    await pass();
    void packer.write(0, outcome(2), false);
    sent[0]?.acknowledge();
    await turn();
    expect(sizes()).toEqual([1, 2]);
  });

  it('keeps no company when its turn has not come', async () => {
    const { packer, sent, sizes, pass } = packing();
    void packer.write(0, outcome(0), false);
    await pass();
    void packer.write(0, outcome(1), false);
    sent[0]?.acknowledge();
    await turn();
    expect(sizes()).toEqual([1]);
    await pass();
    expect(sizes()).toEqual([1, 1]);
  });

  it('writes at once what something waits for, with all that ends in the same turn of the event loop', async () => {
    const { packer, sent, sizes, postponed } = packing();
    void packer.write(0, outcome(0), false);
    void packer.write(0, outcome(1), true);
    void packer.write(0, outcome(2), false);
    await turn();
    expect(sizes()).toEqual([3]);
    void packer.writePostponement(1, postponement(3), true);
    await turn();
    expect(postponed()).toEqual([0, 1]);
    void packer.write(0, outcome(4), true);
    sent[0]?.acknowledge();
    await turn();
    expect(sizes()).toEqual([3, 0, 1]);
  });

  it('writes a full pack at once, and collects what ends while a record is under way, per partition', async () => {
    const { packer, sent, sizes, pass } = packing();
    for (let n = 0; n < 64; n += 1) void packer.write(0, outcome(n), false);
    await turn();
    expect(sizes()).toEqual([64]);
    for (let n = 0; n < 100; n += 1) void packer.write(0, outcome(n), false);
    void packer.write(1, outcome(101), false);
    await pass();
    expect(sizes()).toEqual([64, 1]);
    sent[0]?.acknowledge();
    await turn();
    expect(sizes()).toEqual([64, 1, 64]);
    sent[2]?.acknowledge();
    await turn();
    expect(sizes()).toEqual([64, 1, 64, 36]);
  });

  it('writes no record that Kafka would refuse, whatever receivers answer', async () => {
    const { packer, sent, sizes } = packing();
    const body = '\u0001'.repeat(4_096);
    const hostile = { started_at: '2026-01-01T00:00:00.000Z', duration_ms: 1, request: { url: 'http://x', headers: {} }, response: { status: 500, headers: { a: '"'.repeat(4_095) }, body, truncated: true } };
    for (let n = 0; n < 64; n += 1) void packer.write(0, { ...outcome(n), attempt: hostile }, false);
    for (let written = 0; written < 64; written += sizes().at(-1) ?? 0) {
      await turn();
      sent.at(-1)?.acknowledge();
    }
    for (const { record } of sent) expect(Buffer.byteLength(String(record.value))).toBeLessThan(MAX_MESSAGE_BYTES / 2 + 1_024);
    expect(sizes().reduce((sum, size) => sum + size)).toBe(64);
  });

  it('writes who waits with what has ended, or alone; and nothing of it where nobody does', async () => {
    const { packer, sent } = packing();
    void packer.writePostponement(0, postponement(1), true);
    await turn();
    void packer.writePostponement(0, postponement(2), true);
    void packer.write(0, outcome(3), true);
    sent[0]?.acknowledge();
    await turn();
    void packer.write(0, outcome(4), true);
    sent[1]?.acknowledge();
    await turn();
    expect(sent.map(({ record }) => String(record.value))).toEqual([
      JSON.stringify({ outcomes: [], postponed: [postponement(1)] }),
      JSON.stringify({ outcomes: [outcome(3)], postponed: [postponement(2)] }),
      JSON.stringify({ outcomes: [outcome(4)] }),
    ]);
    for (const { record } of sent) recordSchemas.attempted.strict().parse(JSON.parse(String(record.value)));
    expect(sent.map(({ record }) => record.key)).toEqual(['sub_1', 'sub_1', 'sub_1']);
  });

  it('has no outcome wait for thousands that are put off, and writes these bounded, too', async () => {
    const { packer, sent, sizes, postponed } = packing();
    for (let n = 0; n < 1_000; n += 1) void packer.writePostponement(0, postponement(n), false);
    for (let n = 0; n < 20; n += 1) void packer.writePostponement(0, postponement(n, { subject: '"'.repeat(200_000) }), false);
    await turn();
    const written = packer.write(0, outcome(1), false);
    sent[0]?.acknowledge();
    await turn();
    expect([sizes(), postponed()]).toEqual([[0, 1], [256, 256]]);
    sent[1]?.acknowledge();
    await written;
    for (let known = 0; known < sent.length; ) {
      known = sent.length;
      sent.at(-1)?.acknowledge();
      await turn();
    }
    expect(postponed().reduce((sum, count) => sum + count)).toBe(1_020);
    for (const { record } of sent) expect(Buffer.byteLength(String(record.value))).toBeLessThan(MAX_MESSAGE_BYTES / 2 + 1_024);
  });

  it('fails who waits as it fails an outcome', async () => {
    const { packer, sent } = packing();
    const failing = packer.writePostponement(0, postponement(0), true);
    await turn();
    sent[0]?.fail(new Error('refused'));
    await expect(failing).rejects.toThrow('refused');
  });

  it('fails exactly the outcomes of a record that failed, and goes on', async () => {
    const { packer, sent, sizes } = packing();
    const failing = packer.write(0, outcome(0), true);
    await turn();
    sent[0]?.fail(new Error('refused'));
    await expect(failing).rejects.toThrow('refused');
    const next = packer.write(0, outcome(1), true);
    await turn();
    sent[1]?.acknowledge();
    await next;
    expect(sizes()).toEqual([1, 1]);
  });
});
