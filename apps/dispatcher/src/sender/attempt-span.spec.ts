import { describe, expect, it } from '@jest/globals';
import type { Attempt } from '@posthorn/contracts';
import { RecordedSpans } from '@posthorn/testkit';
import { event, requestFor } from '../spec-support/records.js';
import { traceAttempt } from './attempt-span.js';

const context = (id: string, flags = '01'): string => `00-${id.repeat(32)}-${id.repeat(16)}-${flags}`;
const told = context('e');
const attempt: Attempt = {
  started_at: '2026-01-01T00:00:00.000Z',
  duration_ms: 12.5,
  request: { url: 'https://user:canary@hooks.example:8443/canary?key=canary', headers: { traceparent: told, authorization: 'canary' } },
  response: { status: 204, headers: { 'set-cookie': 'canary' }, body: 'canary', truncated: false },
};
const failed: Attempt = { ...attempt, error: { code: 'timeout', message: 'canary' } };
const traced = (flags: string) => ({ ...event, traceparent: context('a', flags) });

const attempted = (rest: Parameters<typeof requestFor>[1], one = attempt) => {
  const spans = new RecordedSpans();
  const traceparent = traceAttempt(spans, { head: requestFor(['sub_a'], rest), subscription: 'sub_a', attempt: one, status: one === attempt ? 'delivered' : 'retrying' });
  return { spans: spans.all, traceparent };
};

describe('the span of an attempt', () => {
  it('stands under the router’s, and is linked to what the subscriber was told', () => {
    const { spans, traceparent } = attempted({ event: traced('01'), traceparent: context('b') });
    expect(spans).toMatchObject([
      {
        traceparent,
        start: { name: 'posthorn.attempt', kind: 'client', parent: context('b'), links: [told], startMs: Date.parse(attempt.started_at) },
        end: { endMs: Date.parse(attempt.started_at) + 12.5, attributes: { 'http.response.status_code': 204, 'posthorn.attempt': 1, 'posthorn.outcome': 'delivered' } },
      },
    ]);
    expect(spans[0]?.end.error).toBeUndefined();
  });

  it('stands under the event’s where the router made none', () => {
    expect(attempted({ event: traced('01') }).spans).toMatchObject([{ start: { parent: context('a') } }]);
  });

  it('of a retry is linked to the attempt before it', () => {
    const { spans } = attempted({ event: traced('01'), number: 2, trigger: 'retry', retry_of: context('c') });
    expect(spans).toMatchObject([{ start: { links: [told, context('c')] } }]);
  });

  it('of a round that was asked for begins a trace, linked to the event’s; its retries follow in it', () => {
    const again = { event: traced('01'), round: 1, trigger: 'replay' } as const;
    expect(attempted(again).spans).toMatchObject([{ start: { parent: undefined, links: [told, context('a')] } }]);
    const retry = attempted({ ...again, number: 2, traceparent: context('d'), retry_of: context('d') });
    expect(retry.spans).toMatchObject([{ start: { parent: context('d'), links: [told, context('d'), context('a')] } }]);
  });

  it('is made of what is not sampled only when it fails', () => {
    for (const rest of [{ event: traced('00') }, { event }]) {
      expect(attempted(rest)).toEqual({ spans: [], traceparent: undefined });
      expect(attempted(rest, failed).spans).toMatchObject([{ end: { error: 'timeout', attributes: { 'posthorn.outcome': 'retrying' } } }]);
    }
  });

  it('says where the request went, and nothing that may be secret', () => {
    const { spans } = attempted({ event: traced('01') }, failed);
    expect(spans).toMatchObject([{ end: { attributes: { 'url.scheme': 'https', 'server.address': 'hooks.example', 'server.port': 8443 } } }]);
    expect(JSON.stringify(spans)).not.toContain('canary');
  });
});
