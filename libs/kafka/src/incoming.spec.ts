import { describe, expect, it } from '@jest/globals';
import { headersOf } from './incoming.js';

describe('the headers of a record', () => {
  const a = Buffer.from('a');

  it('that have no value are not there, though Kafka has them', () => {
    expect(headersOf({ ce_id: null, ce_type: a })).toEqual({ ce_type: a });
    expect(Object.keys(headersOf({ ce_id: null, ce_time: undefined, ce_subject: [a, null] }))).toEqual([]);
  });

  it('that have an empty one are there', () => {
    expect(headersOf({ ce_id: Buffer.alloc(0) })).toEqual({ ce_id: Buffer.alloc(0) });
  });

  it('may have any name', () => {
    const headers = headersOf({ ['__proto__']: a, constructor: a });
    expect(Object.entries(headers)).toEqual([['__proto__', a], ['constructor', a]]);
    const names: string[] = [];
    for (const name in headers) names.push(name);
    expect(names).toEqual(['__proto__', 'constructor']);
  });

  it('count by their last value, where one is repeated', () => {
    expect(headersOf({ ce_id: [Buffer.from('b'), a] })).toEqual({ ce_id: a });
  });
});
