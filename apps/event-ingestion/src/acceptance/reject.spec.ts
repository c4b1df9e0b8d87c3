import { describe, expect, it } from '@jest/globals';
import { recordSchemas } from '@posthorn/contracts';
import { refuse } from './draft.js';
import { rejectedRecord, rejection } from './reject.js';

const KILOBYTE = 1024;
const refusal = { ...refuse('invalid', 'type is required', 'type'), tenant: 'acme', eventId: '7' };

describe('a rejection', () => {
  it('tells what was refused, why, and where it stands', () => {
    const record = { topic: 'in', partition: 3, offset: '42' };
    const told = rejection(refusal, { door: 'kafka', record, headers: { ce_id: Buffer.from('7') }, value: Buffer.from('{}') }, 0);
    expect(told).toEqual({
      reason: { code: 'invalid', message: 'type is required', path: 'type' },
      door: 'kafka',
      tenant: 'acme',
      event_id: '7',
      rejected_at: '1970-01-01T00:00:00.000Z',
      record,
      headers: { ce_id: '7' },
      value: '{}',
      truncated: false,
    });
    expect(rejectedRecord(told)).toMatchObject({ key: 'acme', headers: { schema: '1' } });
  });

  it('never repeats credentials', () => {
    const headers = { Authorization: 'Bearer x', cookie: 'a=b', 'x-api-key': 'k', 'user-agent': 'curl' };
    expect(rejection(refusal, { door: 'rest', headers, value: null }, 0).headers).toEqual({ 'user-agent': 'curl' });
  });

  it('cuts a large value between two characters', () => {
    const value = Buffer.from(`x${'é'.repeat(64 * KILOBYTE)}`);
    const told = rejection(refusal, { door: 'rest', headers: {}, value }, 0);
    expect(told.truncated).toBe(true);
    expect(told.value).toBe(`x${'é'.repeat(32 * KILOBYTE - 1)}`);
  });

  it('stays far below what a record may hold, whatever it quotes', () => {
    const headers = Object.fromEntries(Array.from({ length: 1000 }, (_, i) => [`h${i}`, Buffer.alloc(5000, 1)]));
    const told = rejection(refusal, { door: 'kafka', headers, value: Buffer.alloc(900 * KILOBYTE, 1) }, 0);
    expect(Buffer.byteLength(rejectedRecord(told).value)).toBeLessThan(900 * KILOBYTE);
    recordSchemas.rejected.parse(JSON.parse(rejectedRecord(told).value));
  });
});
