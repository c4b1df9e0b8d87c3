import { describe, expect, it } from '@jest/globals';
import { statisticsView } from '@posthorn/contracts';
import * as fc from 'fast-check';
import { Figures } from './figures.js';
import { Series, spanOf } from './series.js';
import { spanOfQuery, statisticsQuery } from './statistics.js';

const NOW = Date.parse('2026-11-20T12:34:56.789Z');
const asked = (query: Record<string, string>) => {
  const { fromMs, toMs, step } = spanOfQuery(statisticsQuery.parse(query), NOW);
  return [new Date(fromMs).toISOString(), new Date(toMs).toISOString(), step];
};

describe('a query for statistics', () => {
  it.each([
    [{}, '2026-11-19T12:00:00.000Z', '2026-11-20T13:00:00.000Z', '1h'],
    [{ step: '5m' }, '2026-11-19T12:30:00.000Z', '2026-11-20T12:35:00.000Z', '5m'],
    [{ to: '2026-11-10T00:00:00Z' }, '2026-11-09T00:00:00.000Z', '2026-11-10T00:00:00.000Z', '1h'],
    [{ from: '2026-11-01T00:00:00+01:00' }, '2026-10-31T23:00:00.000Z', '2026-11-20T13:00:00.000Z', '1h'],
    [{ from: '2026-08-01T10:00:00Z' }, '2026-08-01T00:00:00.000Z', '2026-11-21T00:00:00.000Z', '1d'],
    [{ from: '2026-11-20T12:00:00Z', step: '1m' }, '2026-11-20T12:00:00.000Z', '2026-11-20T12:35:00.000Z', '1m'],
    [{ from: '2026-11-20T01:00:00Z', to: '2026-11-20T02:00:00Z', step: '1d' }, '2026-11-20T00:00:00.000Z', '2026-11-21T00:00:00.000Z', '1d'],
  ])('for %j is one from %s to %s by %s', (query, ...span) => {
    expect(asked(query)).toEqual(span);
  });

  it.each([
    [{ from: '2026-11-20T12:00:00Z', to: '2026-11-20T12:00:00Z' }, 'from'],
    [{ from: '2026-11-21T00:00:00Z' }, 'from'],
    [{ from: '2025-01-01T00:00:00Z' }, 'from'],
    [{ from: '2026-08-01T00:00:00Z', step: '1h' }, 'step'],
    [{ from: '2026-11-18T12:34:56Z', step: '1m' }, 'step'],
    [{ from: '2026-11-10T00:00:00Z', to: '2026-11-10T01:00:00Z', step: '30m' }, 'step'],
  ])('for %j is refused by its %s', (query, path) => {
    expect(() => asked(query)).toThrow(expect.objectContaining({ code: 'invalid', errors: [expect.objectContaining({ path })] }));
  });

  it.each(['2m', '1w', '0h', '60m', ''])('knows no step %p', (step) => {
    expect(statisticsQuery.safeParse({ step }).success).toBe(false);
  });
});

const figuresOf = (durations: readonly number[], error_code: string | null = null): Figures => {
  const figures = new Figures();
  for (const duration_ms of durations) figures.addAttempt({ status: error_code === null ? 'delivered' : 'failed', duration_ms, error_code }, 1);
  return figures;
};
const at = (time: string): number => Date.parse(`2026-11-20T${time}Z`);

describe('a series', () => {
  it('has a point for each step, with what is in it, and is empty where nothing happened', () => {
    const series = new Series(spanOf(at('10:00'), at('13:00'), '1h'));
    series.add(at('10:00'), figuresOf([1, 2, 3]));
    series.add(at('10:59'), figuresOf([4], 'timeout'));
    series.add(at('12:00'), figuresOf([100]));
    series.add(at('13:00'), figuresOf([7_000]));
    series.add(at('09:59'), figuresOf([7_000]));
    const { totals, series: points } = statisticsView.parse(series.view);
    const none = { deliveries: { delivered: 0, failed: 0, cancelled: 0 }, attempts: { total: 0, succeeded: 0, failed: 0, errors: {} } };
    expect(points).toEqual([
      { ...none, at: '2026-11-20T10:00:00.000Z', attempts: { total: 4, succeeded: 3, failed: 1, success_rate: 0.75, errors: { timeout: 1 } }, duration_ms: expect.anything() },
      { ...none, at: '2026-11-20T11:00:00.000Z' },
      { ...none, at: '2026-11-20T12:00:00.000Z', attempts: { total: 1, succeeded: 1, failed: 0, success_rate: 1, errors: {} }, duration_ms: expect.anything() },
    ]);
    expect(totals.attempts).toEqual({ total: 5, succeeded: 4, failed: 1, success_rate: 0.8, errors: { timeout: 1 } });
  });

  it('tells quantiles to within one in a hundred, rounded as they are', () => {
    fc.assert(
      fc.property(fc.array(fc.double({ min: 0.1, max: 60_000, noNaN: true }), { minLength: 1, maxLength: 200 }), (durations) => {
        const series = new Series(spanOf(at('10:00'), at('12:00'), '1h'));
        series.add(at('10:00'), figuresOf(durations.slice(0, 50)));
        series.add(at('11:00'), figuresOf(durations.slice(50)));
        const sorted = durations.toSorted((a, b) => a - b);
        for (const [name, share] of [['p50', 0.5], ['p95', 0.95], ['p99', 0.99]] as const) {
          const exact = sorted[Math.ceil(share * sorted.length) - 1] ?? Number.NaN;
          expect(Math.abs((series.view.totals.duration_ms?.[name] ?? Number.NaN) - exact) / exact).toBeLessThanOrEqual(0.01);
        }
      }),
    );
  });

  it('takes the quantiles of the whole from all values, not from those of its points', () => {
    const series = new Series(spanOf(at('10:00'), at('12:00'), '1h'));
    series.add(at('10:00'), figuresOf(Array.from({ length: 98 }, () => 10)));
    series.add(at('11:00'), figuresOf([1_000, 1_000]));
    const { duration_ms } = series.view.totals;
    expect(duration_ms?.p50).toBeCloseTo(10, 0);
    expect(duration_ms?.p95).toBeCloseTo(10, 0);
    expect((duration_ms?.p99 ?? 0) / 1_000).toBeCloseTo(1, 1);
    expect((series.view.series[1]?.duration_ms?.p50 ?? 0) / 1_000).toBeCloseTo(1, 1);
  });
});
