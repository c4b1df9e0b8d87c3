import { describe, expect, it } from '@jest/globals';
import { headersByName, type Headers } from './headers.js';

const a = Buffer.from('a');

const byName = (...headers: readonly (readonly [name: string, value: Buffer | null])[]): Headers => headersByName(headers.map(([key, value]) => ({ key, value })));

describe('the headers of a record', () => {
  it('that have no value are not there, though Kafka has them', () => {
    expect(byName(['ce_id', null], ['ce_type', a])).toEqual({ ce_type: a });
    expect(Object.keys(byName(['ce_id', null], ['ce_subject', a], ['ce_subject', null]))).toEqual([]);
  });

  it('that have an empty one are there', () => {
    expect(byName(['ce_id', Buffer.alloc(0)])).toEqual({ ce_id: Buffer.alloc(0) });
  });

  it('are there by no other name, not even when there are none', () => {
    expect([byName()['constructor'], byName(['ce_id', a])['constructor']]).toEqual([undefined, undefined]);
  });

  it('may have any name', () => {
    const headers = byName(['__proto__', a], ['constructor', a]);
    expect(Object.entries(headers)).toEqual([['__proto__', a], ['constructor', a]]);
    const names: string[] = [];
    for (const name in headers) names.push(name);
    expect(names).toEqual(['__proto__', 'constructor']);
  });

  it('count by their last value, where one is repeated', () => {
    expect(byName(['ce_id', Buffer.from('b')], ['ce_id', a])).toEqual({ ce_id: a });
  });
});
