import { describe, expect, it } from '@jest/globals';
import { durationBoundsOn, labelFaults, metricsOn } from '../support/metric-labels.ts';

const page = (sample: string): string => `# HELP posthorn_x x\n# TYPE posthorn_x counter\n${sample}\n`;

describe('labels of metrics', () => {
  it('may say what is one of a few', () => {
    const samples = [
      'posthorn_x{service="dispatcher",outcome="delivered"} 1',
      'posthorn_x{method="GET",route="/v1/tenants/:tenant/events",status="200"} 1',
      'posthorn_x{method="posthorn.registry.v1.TenantService/GetTenant",code="OK"} 1',
      'posthorn_x_bucket{le="+Inf"} 1',
      'posthorn_x{topic="posthorn.deliveries.delayed.1s.v1"} 1',
      'posthorn_x 1',
    ];
    expect(labelFaults(page(samples.join('\n')), ['acme'])).toEqual([]);
  });

  it.each([
    ['a label that nobody has thought about', '{tenant="acme"}'],
    ['a tenant', '{topic="acme.events"}'],
    ['an id', '{route="/v1/tenants/:tenant/events/evt_0123456789"}'],
    ['a path that is not a pattern', '{route="/v1/tenants/acme-2/events/17"}'],
    ['a URL', '{topic="https://example.com"}'],
    ['a host', '{reason="example.com"}'],
    ['a sentence', '{reason="the receiver said no"}'],
  ])('may not say %s', (_, labels) => {
    expect(labelFaults(page(`posthorn_x${labels} 1`), ['acme'])).toHaveLength(1);
  });
});

describe('metrics on a page', () => {
  it('are named by their type lines', () => {
    expect(metricsOn(`${page('posthorn_x 1')}# TYPE nodejs_y gauge\nnodejs_y 1\n`)).toEqual(['posthorn_x']);
  });
});

describe('bounds of durations on a page', () => {
  it('are those of its histograms, each once', () => {
    const samples = ['posthorn_x_seconds_bucket{le="0.5",door="a"} 1', 'posthorn_x_seconds_bucket{door="a",le="1e-3"} 0', 'posthorn_x_seconds_bucket{le="0.5",door="b"} 1', 'posthorn_x_seconds_bucket{le="+Inf",door="b"} 1', 'posthorn_y_bucket{le="7"} 1'];
    expect(durationBoundsOn(samples.join('\n'))).toEqual(new Map([['posthorn_x_seconds', [0.001, 0.5]]]));
  });
});
