import { describe, expect, it } from '@jest/globals';
import { createMetrics, requestDuration } from './metrics.js';

describe('createMetrics', () => {
  it("names the service on every metric, Node's own too", async () => {
    const metrics = createMetrics('dispatcher');
    requestDuration(metrics)('GET', '/v1/x', 200, 0.2);
    const samples = (await metrics.metrics()).split('\n').filter((line) => line !== '' && !line.startsWith('#'));
    expect(samples.filter((line) => !line.includes('service="dispatcher"'))).toEqual([]);
    expect(samples.some((line) => line.startsWith('nodejs_eventloop_lag'))).toBe(true);
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
