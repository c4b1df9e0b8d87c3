import { describe, expect, it } from '@jest/globals';
import type { RejectedEventView } from '@posthorn/contracts';
import type { RejectedEvent } from '../query/rejected-events.js';
import { originalOf } from './original.js';

const INBOUND = 'posthorn.events.inbound.v1';
const fromInbound = { door: 'kafka', record: { topic: INBOUND, partition: 0, offset: '1' } } as const;

const refused = (more: Partial<RejectedEventView>, headers: Record<string, string> = {}): RejectedEvent => ({
  view: {
    id: 'rej_1',
    tenant: 'default',
    door: 'rest',
    rejected_at: '2026-11-20T10:00:00.000Z',
    reason: { code: 'invalid', message: 'type is required' },
    value_bytes: 2,
    truncated: false,
    ...more,
  },
  day: '2026-11-20',
  headers,
  value: Buffer.from('{}'),
});

const headersOf = (rejected: RejectedEvent) => {
  const original = originalOf(rejected, INBOUND);
  return original.kind === 'request' ? original.headers : original.reason;
};

describe('a rejected event as it came', () => {
  it('has its bytes', () => {
    const rejected = refused({});
    expect(originalOf(rejected, INBOUND)).toEqual({ kind: 'request', headers: {}, body: rejected.value });
  });

  it('has what was said about it over HTTP, and nothing about the way', () => {
    const about = { 'content-type': 'text/plain; charset=x', 'ce-type': 'a.b', 'ce-subject': 'caf%C3%A9', traceparent: '00-1' };
    expect(headersOf(refused({}, { ...about, host: 'x', 'user-agent': 'x', 'content-encoding': 'gzip', 'idempotency-key': 'x' }))).toEqual(about);
  });

  it('has what was said about it in Kafka, in the words of HTTP', () => {
    const headers = { ce_type: 'a.b', ce_subject: 'é "100%" x~', 'content-type': 'application/json', schema: '1', cert: 'x' };
    expect(headersOf(refused(fromInbound, headers))).toEqual({
      'ce-type': 'a.b',
      'ce-subject': '%C3%A9%20%22100%25%22%20x~',
      'content-type': 'application/json',
    });
  });

  it('has the form of HTTP when it came over gRPC', () => {
    const headers = { 'content-type': 'application/cloudevents+json' };
    expect(headersOf(refused({ door: 'grpc' }, headers))).toEqual(headers);
  });

  it('is one event, also if it came among others', () => {
    expect(headersOf(refused({}, { 'content-type': 'application/CloudEvents-Batch+JSON; charset=utf-8' }))).toEqual({
      'content-type': 'application/cloudevents+json; charset=utf-8',
    });
  });

  it.each<[string, RejectedEvent, string]>([
    ['only its beginning is kept', refused({ truncated: true }), 'beginning'],
    ['its topic has a binding', refused({ ...fromInbound, record: { ...fromInbound.record, topic: 'shop.orders' } }), 'binding'],
    ['a header may have been cut', refused({}, { 'ce-context': 'x'.repeat(1024) }), 'headers'],
    ['a header was not UTF-8', refused(fromInbound, { ce_id: 'a\u{FFFD}' }), 'headers'],
    ['there may have been more headers', refused({}, Object.fromEntries(Array.from({ length: 64 }, (_, i) => [`x-${i}`, '']))), 'headers'],
    ['a header has a name that HTTP does not know', refused(fromInbound, { 'ce_a b': 'x' }), 'headers'],
    ['its type cannot be said in HTTP', refused(fromInbound, { 'content-type': 'a\nb' }), 'headers'],
  ])('cannot be repeated when %s', (_, rejected, reason) => {
    expect(originalOf(rejected, INBOUND)).toEqual({ kind: 'unrepeatable', reason: expect.stringContaining(reason) });
  });

  it('may have had other headers of any length', () => {
    expect(headersOf(refused({}, { cookie: 'x'.repeat(1024), 'ce-type': 'a' }))).toEqual({ 'ce-type': 'a' });
  });
});
