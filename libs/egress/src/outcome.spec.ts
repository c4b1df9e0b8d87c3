import { describe, expect, it } from '@jest/globals';
import { classify, defaultSuccess } from './outcome.js';

const NOW = Date.parse('2026-01-01T00:00:00Z');
const DAY = 86_400_000;

const verdictOn = (status: number, headers: Record<string, string> = {}, statuses: readonly string[] = defaultSuccess.statuses) =>
  classify({ durationMs: 1, response: { status, headers, body: '', truncated: false } }, { statuses }, NOW);

describe('an outcome', () => {
  it.each([200, 201, 204, 299])('%i is a success', (status) => expect(verdictOn(status)).toEqual({ success: true }));

  it.each([400, 401, 404, 409, 429, 500, 503, 599])('%i is to be retried', (status) => {
    expect(verdictOn(status)).toEqual({
      success: false,
      error: { code: 'bad_status', message: `The subscriber answered ${status}.` },
    });
  });

  it.each([300, 301, 302, 304, 307, 308])('%i is a redirect and refused', (status) => {
    expect(verdictOn(status)).toMatchObject({ success: false, error: { code: 'redirect_refused' } });
  });

  it('410 means gone', () => expect(verdictOn(410)).toMatchObject({ success: false, gone: true, error: { code: 'bad_status' } }));

  it("follows the subscription's own list", () => {
    expect(verdictOn(200, {}, ['202'])).toMatchObject({ success: false });
    expect(verdictOn(202, {}, ['202'])).toEqual({ success: true });
    expect(verdictOn(410, {}, ['2xx', '410'])).toEqual({ success: true });
    expect(verdictOn(404, {}, ['2xx', '4xx'])).toEqual({ success: true });
  });

  it('passes on a failure, whatever part of a response had come', () => {
    const failure = { code: 'connection_reset', message: 'x' } as const;
    const response = { status: 200, headers: {}, body: 'half', truncated: false };
    expect(classify({ durationMs: 1, response, failure }, defaultSuccess, NOW)).toEqual({ success: false, error: failure });
  });
});

describe('Retry-After', () => {
  it.each([
    ['120', 120_000],
    ['0', 0],
    ['Thu, 01 Jan 2026 00:10:00 GMT', 600_000],
    ['Wed, 31 Dec 2025 00:00:00 GMT', 0],
    ['999999999999999999999', DAY],
    ['Fri, 01 Jan 2027 00:00:00 GMT', DAY],
  ])('%s waits %i ms', (value, ms) => {
    expect(verdictOn(429, { 'retry-after': value })).toMatchObject({ retryAfterMs: ms });
    expect(verdictOn(503, { 'retry-after': value })).toMatchObject({ retryAfterMs: ms });
  });

  it.each(['', '-5', '1.5', 'soon', '2026-01-02', 'Thu, 99 Foo 2026 00:10:00 GMT'])('%j counts as absent', (value) => {
    expect(verdictOn(429, { 'retry-after': value })).not.toHaveProperty('retryAfterMs');
  });

  it('is honoured on 429 and 503 only', () => {
    expect(verdictOn(500, { 'retry-after': '120' })).not.toHaveProperty('retryAfterMs');
    expect(verdictOn(301, { 'retry-after': '120' })).not.toHaveProperty('retryAfterMs');
  });
});
