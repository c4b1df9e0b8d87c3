import { describe, expect, it } from '@jest/globals';
import { maskedBody } from './update-mask.js';

const maskable = {
  body: { name: 'n', filter: 'f', policy: { timeout: '5s', max_concurrency: 2 }, payload: { format: 'raw' } },
  memberwise: ['policy'],
  empties: { headers: {} },
};

describe('an update mask', () => {
  it('that is absent or empty changes what is given', () => {
    expect(maskedBody(maskable, undefined)).toEqual(maskable.body);
    expect(maskedBody(maskable, [])).toEqual(maskable.body);
  });

  it('changes what it names and nothing else', () => {
    expect(maskedBody(maskable, ['name', 'payload'])).toEqual({ name: 'n', payload: { format: 'raw' } });
  });

  it('names the policy by its members', () => {
    expect(maskedBody(maskable, ['policy.timeout', 'policy.max_concurrency'])).toEqual({ policy: { timeout: '5s', max_concurrency: 2 } });
    expect(() => maskedBody(maskable, ['policy'])).toThrow('update_mask: policy is changed by its members');
  });

  it('removes what it names and is not given', () => {
    expect(maskedBody(maskable, ['description', 'policy.rate_limit', 'headers'])).toEqual({
      description: null,
      policy: { rate_limit: null },
      headers: {},
    });
  });

  it('does not reach into what is replaced as a whole', () => {
    expect(() => maskedBody(maskable, ['payload.format'])).toThrow('update_mask: payload.format is changed as a whole');
    expect(() => maskedBody(maskable, ['policy.rate_limit.burst'])).toThrow('update_mask');
  });

  it('leaves what does not exist to the schema', () => {
    expect(maskedBody(maskable, ['nonsense', '__proto__', 'policy.constructor'])).toEqual(
      Object.fromEntries([
        ['nonsense', null],
        ['__proto__', null],
        ['policy', { constructor: null }],
      ]),
    );
  });
});
