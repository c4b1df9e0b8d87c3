import { describe, expect, it } from '@jest/globals';
import { Counter } from 'prom-client';
import { observingTraced, openMetricsOf, tracedHistogram } from './exemplars.js';
import { createMetrics } from './metrics.js';

const TRACE_ID = '0af7651916cd43dd8448eb211c80319c';
const traceparent = (flags: string): string => `00-${TRACE_ID}-b7ad6b7169203331-${flags}`;

const metricsWith = () => {
  const metrics = createMetrics('dispatcher');
  const counter = new Counter({ name: 'posthorn_things_total', help: 'x', labelNames: ['what'], registers: [metrics] });
  counter.inc({ what: 'one' });
  const histogram = tracedHistogram(metrics, { name: 'posthorn_seconds', help: 'x', labelNames: ['door'], buckets: [1, 2] });
  return { metrics, observe: observingTraced(histogram, { door: 'rest' }) };
};

const seriesIn = (text: string): ReadonlySet<string> =>
  new Set(text.split('\n').flatMap((line) => (line === '' || line.startsWith('#') ? [] : [line.replace(/ .*$/, '').replace(/\{(.*)\}/, (_, labels: string) => labels.split(',').toSorted().join(','))])));

describe('an exemplar', () => {
  it('is what has a recorded trace, in its bucket, as OpenMetrics only', async () => {
    const { metrics, observe } = metricsWith();
    observe(0.5);
    observe(0.7, traceparent('00'));
    observe(1.5, traceparent('01'));
    const { type, body } = await openMetricsOf(metrics, 'dispatcher');
    expect(type).toMatch(/^application\/openmetrics-text/);
    const buckets = body.split('\n').filter((line) => line.startsWith('posthorn_seconds_bucket'));
    expect(buckets.map((line) => line.replace(/ [\d.]+$/, (time) => (line.includes('#') ? ' time' : time)))).toEqual([
      'posthorn_seconds_bucket{le="1",service="dispatcher",door="rest"} 2',
      `posthorn_seconds_bucket{le="2",service="dispatcher",door="rest"} 3 # {trace_id="${TRACE_ID}"} 1.5 time`,
      'posthorn_seconds_bucket{le="+Inf",service="dispatcher",door="rest"} 3',
    ]);
    expect(body.endsWith('# EOF\n')).toBe(true);
    expect(await metrics.metrics()).not.toContain(TRACE_ID);
  });

  it('changes no name and no label, in whatever order both forms are asked for', async () => {
    const { metrics, observe } = metricsWith();
    observe(0.5, traceparent('01'));
    const before = seriesIn(await metrics.metrics());
    const open = seriesIn((await openMetricsOf(metrics, 'dispatcher')).body);
    expect([...open].filter((series) => !before.has(series))).toEqual([]);
    expect(open).toContain('posthorn_things_totalservice="dispatcher",what="one"');
    expect(seriesIn(await metrics.metrics())).toEqual(before);
  });
});
