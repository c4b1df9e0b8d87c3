import { describe, expect, it } from '@jest/globals';
import { Violations } from './violations.js';

const errors = [{ path: 'data.a', message: 'is missing' }];

describe('violations', () => {
  it('that are let in are counted each time, and told once a minute for each type of each tenant', () => {
    const counted: string[] = [];
    const told: object[] = [];
    let nowMs = 0;
    const violations = new Violations({ count: (policy) => void counted.push(policy), log: { warn: (fields: object) => void told.push(fields) }, nowMs: () => nowMs });
    const warned = (tenant: string, type: string): void => violations.warned({ tenant, type, id: 'e' }, errors);

    warned('acme', 'a');
    warned('acme', 'a');
    warned('acme', 'b');
    warned('other', 'a');
    expect(told).toEqual(['acme a', 'acme b', 'other a'].map((name) => ({ tenant: name.split(' ')[0], event_type: name.split(' ')[1], event_id: 'e', errors })));
    nowMs = 59_999;
    warned('acme', 'a');
    expect(told).toHaveLength(3);
    nowMs = 60_000;
    warned('acme', 'a');
    expect(told).toHaveLength(4);
    expect(counted).toEqual(Array.from({ length: 6 }, () => 'warn'));
    violations.rejected();
    expect([counted.at(-1), told.length]).toEqual(['reject', 4]);
  });
});
