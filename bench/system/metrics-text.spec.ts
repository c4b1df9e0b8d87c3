import { describe, expect, it } from '@jest/globals';
import { lagsOf, sumOf } from './metrics-text.ts';

const text = `# HELP posthorn_audit_rows_total Rows
# TYPE posthorn_audit_rows_total counter
posthorn_audit_rows_total{kind="attempt",service="delivery-audit"} 120
posthorn_audit_rows_total{kind="event",service="delivery-audit"} 7
posthorn_consumer_lag{topic="posthorn.events.accepted.v1",service="delivery-audit"} 3
posthorn_consumer_lag{topic="posthorn.deliveries.delayed.1s.v1",service="delivery-audit"} 0
`;

describe('the text of the metrics', () => {
  it('gives the sum of the samples with a label', () => {
    expect([sumOf(text, 'posthorn_audit_rows_total', 'kind="attempt"'), sumOf(text, 'posthorn_audit_rows', 'kind="attempt"')]).toEqual([120, 0]);
  });

  it('gives how far each topic is behind, by the name that the catalogue has', () => {
    expect([...lagsOf(text)]).toEqual([
      ['events.accepted', 3],
      ['deliveries.delayed.1s', 0],
    ]);
  });
});
