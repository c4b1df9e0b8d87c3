import { describe, expect, it } from '@jest/globals';
import type { Outcome, Postponement } from '@posthorn/contracts';
import { mentionsAny, newsOf } from './news.js';
import { outcomeOf, postponementOf } from '../spec-support/tailed.js';

const recordOf = (outcomes: readonly Outcome[], postponed?: readonly Postponement[]): Buffer => Buffer.from(JSON.stringify({ outcomes, postponed }));

describe('news', () => {
  it('are the outcomes and then the postponements of a record', () => {
    const news = newsOf(recordOf([outcomeOf({ event_id: 'e1' }), outcomeOf({ event_id: 'e2' })], [postponementOf({ event_id: 'e3' })]));
    expect(news.map(({ told }) => [told.kind, told.view.event_id])).toEqual([
      ['outcome', 'e1'],
      ['outcome', 'e2'],
      ['postponed', 'e3'],
    ]);
  });

  it('tell what came of an attempt, and nothing of its headers and bodies', () => {
    const [news] = newsOf(recordOf([outcomeOf({ status: 'retrying', next_attempt_at: '2026-11-20T10:00:05.000Z' })]));
    expect(news?.status).toBe('retrying');
    expect(JSON.parse(news?.text ?? '')).toEqual({
      delivery_id: 'dlv_1',
      event_id: 'evt_1',
      event_type: 'invoice.paid',
      subscription_id: 'sub_1',
      subscription_version: 3,
      round: 0,
      number: 1,
      trigger: 'first',
      status: 'retrying',
      at: '2026-11-20T10:00:00.000Z',
      next_attempt_at: '2026-11-20T10:00:05.000Z',
      duration_ms: 12.5,
      status_code: 500,
      error: { code: 'bad_status', message: 'The status is 500.' },
    });
  });

  it.each([
    [1, 'pending'],
    [2, 'retrying'],
  ])('tell of attempt %i, put off, where its delivery stands: %s', (number, status) => {
    expect(newsOf(recordOf([], [postponementOf({ number })]))[0]?.told.view).toMatchObject({ number, status, cause: 'rate_limit', until: '2026-11-20T10:01:00.000Z' });
  });
});

describe('whether a record says anything of a tenant', () => {
  const record = recordOf([outcomeOf({ tenant: 'acme' }), outcomeOf({ tenant: 'other' })], [postponementOf({ tenant: 'late' })]);

  it.each(['acme', 'other', 'late'])('is seen of %s', (tenant) => {
    expect(mentionsAny(record, new Set(['nobody', tenant]))).toBe(true);
  });

  it.each(['acm', 'acme2', 'nobody', ''])('is seen of %j, of which it says nothing', (tenant) => {
    expect(mentionsAny(record, new Set([tenant]))).toBe(false);
  });

  it('is not mistaken for what a receiver has answered', () => {
    const answered = outcomeOf({ tenant: 'acme' });
    const response = { status: 200, headers: {}, body: '{"tenant":"victim"}', truncated: false };
    expect(mentionsAny(recordOf([{ ...answered, attempt: { started_at: answered.at, duration_ms: 1, request: { url: 'https://x', headers: {} }, response } }]), new Set(['victim']))).toBe(false);
  });

  it('is seen at the end of a record that is cut off', () => {
    expect(mentionsAny(Buffer.from('{"outcomes":[{"tenant":"ac'), new Set(['acme']))).toBe(false);
  });
});
