import { describe, expect, it } from '@jest/globals';
import { recordSchemas, type Rejection } from '@posthorn/contracts';
import { MAX_MESSAGE_BYTES } from '@posthorn/kafka';
import { refuse } from './draft.js';
import { rejectedRecord, rejection } from './reject.js';

const KILOBYTE = 1024;
const id = 'rej_1';
const refusal = { ...refuse('invalid', 'type is required', 'type'), tenant: 'acme', eventId: '7' };

const throughKafka = (told: Rejection): Rejection => {
  const { value } = rejectedRecord(told);
  expect(Buffer.byteLength(value)).toBeLessThan(MAX_MESSAGE_BYTES - 2 * KILOBYTE);
  return recordSchemas.rejected.parse(JSON.parse(value));
};

const bytesOf = ({ value, value_base64 }: Rejection): Buffer =>
  value === undefined ? Buffer.from(value_base64 ?? '', 'base64') : Buffer.from(value);

describe('a rejection', () => {
  it('tells what was refused, why, and where it stands', () => {
    const record = { topic: 'in', partition: 3, offset: '42' };
    const told = rejection(refusal, { id, door: 'kafka', record, headers: { ce_id: Buffer.from('7') }, value: Buffer.from('{}') }, 0);
    expect(told).toEqual({
      rejection_id: id,
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

  it('tells no more of a tenant or an id than names have: nobody has checked them', () => {
    const told = throughKafka(rejection({ ...refusal, eventId: 'i'.repeat(1_000_000) }, { id, door: 'grpc', tenant: 't'.repeat(1_000_000), headers: {}, value: Buffer.alloc(1_000_000, 'x') }, 0));
    expect([told.tenant, told.event_id]).toEqual(['t'.repeat(256), 'i'.repeat(256)]);
    expect(rejectedRecord(told).key).toBe('t'.repeat(256));
  });

  it('never repeats credentials', () => {
    const headers = { Authorization: 'Bearer x', cookie: 'a=b', 'x-api-key': 'k', 'user-agent': 'curl' };
    expect(rejection(refusal, { id, door: 'rest', headers, value: null }, 0).headers).toEqual({ 'user-agent': 'curl' });
  });

  it.each([
    ['text', Buffer.from('{"id":"é\\u0000"}')],
    ['text with a byte order mark', Buffer.from('\ufeff{}')],
    ['what is not UTF-8', Buffer.from([0xff, 0x00, 0x7b])],
    ['nothing', Buffer.alloc(0)],
    ['text that escaping would make too long', Buffer.alloc(1400 * KILOBYTE, '"')],
    ['as much as a record holds of text', Buffer.alloc(2000 * KILOBYTE, 'x')],
  ])('keeps %s byte for byte', (_, value) => {
    const told = throughKafka(rejection(refusal, { id, door: 'kafka', headers: {}, value }, 0));
    expect(told.truncated).toBe(false);
    expect(bytesOf(told).equals(value)).toBe(true);
  });

  it('tells text as text, and other bytes in base64', () => {
    const from = { id, door: 'rest', headers: {} } as const;
    expect(rejection(refusal, { ...from, value: Buffer.from('é') }, 0)).toMatchObject({ value: 'é' });
    expect(rejection(refusal, { ...from, value: Buffer.from([0xff]) }, 0)).toMatchObject({ value_base64: '/w==' });
  });

  it('holds the beginning of what is more than a record holds, whatever else it quotes', () => {
    const headers = Object.fromEntries(Array.from({ length: 1000 }, (_, i) => [`h${i}${'\u0001'.repeat(1000)}`, Buffer.alloc(5000, 1)]));
    const errors = Array.from({ length: 1000 }, () => ({ path: '\u0001'.repeat(5000), message: '\u0001'.repeat(5000) }));
    const value = Buffer.alloc(8000 * KILOBYTE, 'é');
    const told = throughKafka(rejection({ ...refusal, errors }, { id, door: 'kafka', headers, value }, 0));
    expect(told.truncated).toBe(true);
    const kept = bytesOf(told);
    expect(kept.length).toBeGreaterThan(500 * KILOBYTE);
    expect(kept.equals(value.subarray(0, kept.length))).toBe(true);
  });
});
