import { describe, expect, it } from '@jest/globals';
import { LastUses } from './last-uses.js';

const record = (keyId: string, at: string, schema = '1') => ({
  value: Buffer.from(JSON.stringify({ key_id: keyId, service: 'delivery-audit', at })),
  headers: { schema: Buffer.from(schema) },
});

/** What was written, and a way to wait for the next time. */
const given = (failures = 0) => {
  const written: (readonly (readonly [string, string])[])[] = [];
  const waiting: (() => void)[] = [];
  const complaints: string[] = [];
  const tries = { failures };
  const uses = new LastUses({
    write: async (latest) => {
      if (tries.failures-- > 0) throw new Error('the database is away');
      written.push([...latest]);
      for (const wake of waiting.splice(0)) wake();
    },
    log: {
      warn: (_fields: object, text?: string) => void complaints.push(`warn: ${text}`),
      debug: (_fields: object, text?: string) => void complaints.push(`debug: ${text}`),
    },
    intervalMs: 1,
  });
  return { uses, written, complaints, nextWrite: () => new Promise<void>((resolve) => void waiting.push(resolve)) };
};

describe('last uses', () => {
  it('are written together, the latest of each key', async () => {
    const { uses, written, nextWrite } = given();
    uses.note(record('key_a', '2026-01-02T03:04:05.000Z'));
    uses.note(record('key_b', '2026-01-02T03:04:06.000Z'));
    uses.note(record('key_a', '2026-01-02T04:04:04.000+01:00'));
    uses.note(record('key_b', '2026-01-02T03:04:07.000Z'));
    await nextWrite();
    expect(written).toEqual([
      [
        ['key_a', '2026-01-02T03:04:05.000Z'],
        ['key_b', '2026-01-02T03:04:07.000Z'],
      ],
    ]);
    uses.note(record('key_a', '2026-01-02T03:05:00.000Z'));
    await nextWrite();
    expect(written[1]).toEqual([['key_a', '2026-01-02T03:05:00.000Z']]);
  });

  it('are written later when the database is away', async () => {
    const { uses, written, complaints, nextWrite } = given(2);
    uses.note(record('key_a', '2026-01-02T03:04:05.000Z'));
    await nextWrite();
    expect(written).toEqual([[['key_a', '2026-01-02T03:04:05.000Z']]]);
    expect(complaints).toHaveLength(2);
  });

  it('pass over what cannot be read', async () => {
    const { uses, written, complaints, nextWrite } = given();
    uses.note(record('key_a', '2026-01-02T03:04:05.000Z', '2'));
    uses.note(record('key_b', 'yesterday'));
    uses.note(record('key_b', '0000-01-01T00:00:00.000Z'));
    uses.note(record('key_b', '9999-12-31T23:59:59.000-12:00'));
    uses.note(record('key_\0', '2026-01-02T03:04:05.000Z'));
    uses.note({ value: Buffer.from('{'), headers: { schema: Buffer.from('1') } });
    uses.note({ value: null, headers: { schema: Buffer.from('1') } });
    uses.note(record('key_c', '2026-01-02T03:04:05.000Z'));
    await nextWrite();
    expect(written).toEqual([[['key_c', '2026-01-02T03:04:05.000Z']]]);
    expect(complaints).toEqual(Array.from({ length: 6 }, () => 'warn: a record of keys.used cannot be read'));
  });
});
