import { describe, expect, it } from '@jest/globals';
import { eventually } from '@posthorn/testkit';
import { Health } from './health.js';
import { buildInfo, createMetrics, oldestMetric, readinessMetrics, requestDuration } from './metrics.js';

describe('createMetrics', () => {
  it("names the service on every metric, Node's own too", async () => {
    const metrics = createMetrics('dispatcher');
    requestDuration(metrics)('GET', '/v1/x', 200, 0.2);
    const samples = (await metrics.metrics()).split('\n').filter((line) => line !== '' && !line.startsWith('#'));
    expect(samples.filter((line) => !line.includes('service="dispatcher"'))).toEqual([]);
    expect(samples.some((line) => line.startsWith('nodejs_eventloop_lag'))).toBe(true);
  });

  it('wakes an idle process up ten times a second at most', async () => {
    const metrics = createMetrics('dispatcher');
    let seconds = Infinity;
    const isSampled = async (): Promise<boolean> => {
      seconds = Number(/^nodejs_eventloop_lag_min_seconds\S* (\S+)$/m.exec(await metrics.metrics())?.[1]);
      return seconds < 60; // without a sample it is the largest number there is
    };
    // Each look begins anew, and what has begun needs two samples.
    await eventually(isSampled, { everyMs: 500 });
    expect(seconds).toBeGreaterThan(0.09);
  });
});

describe('requestDuration', () => {
  it('counts by method, route and status', async () => {
    const metrics = createMetrics('dispatcher');
    const observe = requestDuration(metrics);
    observe('GET', '/v1/x/:id', 200, 0.2);
    observe('GET', '/v1/x/:id', 200, 0.3);
    observe('GET', '/v1/x/:id', 404, 0.1);
    const text = await metrics.metrics();
    expect(text).toContain('posthorn_http_request_duration_seconds_count{service="dispatcher",method="GET",route="/v1/x/:id",status="200"} 2');
    expect(text).toContain('posthorn_http_request_duration_seconds_sum{service="dispatcher",method="GET",route="/v1/x/:id",status="200"} 0.5');
    expect(text).toContain('route="/v1/x/:id",status="404"} 1');
  });
});

describe('buildInfo', () => {
  it('tells the version', async () => {
    const metrics = createMetrics('gateway');
    buildInfo(metrics, '1.2.3');
    expect(await metrics.metrics()).toContain(`posthorn_build_info{version="1.2.3",node="${process.versions.node}",service="gateway"} 1`);
  });
});

describe('readinessMetrics', () => {
  it('tells what /readyz would, and which part is to blame, by asking once', async () => {
    const metrics = createMetrics('gateway');
    const health = new Health();
    readinessMetrics(metrics, health);
    let asked = 0;
    let trouble: string | undefined;
    health.addReadiness('kafka', () => {
      asked += 1;
      return trouble;
    });
    health.addReadiness('process', () => undefined);
    const told = async (): Promise<readonly string[]> => (await metrics.metrics()).split('\n').filter((line) => line.startsWith('posthorn_ready'));
    expect(await told()).toEqual([
      'posthorn_ready{service="gateway"} 1',
      'posthorn_ready_check{check="kafka",service="gateway"} 1',
      'posthorn_ready_check{check="process",service="gateway"} 1',
    ]);
    expect(asked).toBe(1);
    trouble = 'no answer';
    health.removeReadiness('process');
    expect(await told()).toEqual(['posthorn_ready{service="gateway"} 0', 'posthorn_ready_check{check="kafka",service="gateway"} 0']);
  });
});

const line = (topic: string, value: number): string => `posthorn_consumer_oldest_age_seconds{topic="${topic}",service="dispatcher"} ${value}`;

describe('oldestMetric', () => {
  it('tells the age of what waits, 0 where nothing does, and never less', async () => {
    const metrics = createMetrics('dispatcher');
    const oldest = new Map([['a', 1_000], ['b', undefined], ['ahead', 20_000]]);
    oldestMetric(metrics, () => oldest, () => 11_000);
    const told = async (): Promise<readonly string[]> => (await metrics.metrics()).split('\n').filter((line) => line.startsWith('posthorn_consumer_oldest'));
    expect(await told()).toEqual([line('a', 10), line('b', 0), line('ahead', 0)]);
    oldest.delete('a');
    expect(await told()).toEqual([line('b', 0), line('ahead', 0)]);
  });
});
