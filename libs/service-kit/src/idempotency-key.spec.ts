import { describe, expect, it } from '@jest/globals';
import { idempotencyOf } from './idempotency-key.js';

const OF_ALL = { tenant: undefined };
const PATH = '/v1/tenants/acme/replays';

const fingerprintOf = (method: string, path: string, body: unknown) => idempotencyOf('k-1', OF_ALL, method, path, body)?.fingerprint.toString('hex');

describe('an idempotency key', () => {
  it('is that of who has a right to one tenant beside that of who has it to another: portal tokens of one API key are one actor', () => {
    const keys = ['acme', 'other', undefined].map((tenant) => idempotencyOf('k-1', { tenant }, 'POST', PATH, {})?.key);
    expect(new Set(keys).size).toBe(3);
  });

  it('comes with what was asked, however that was spelled', () => {
    expect(fingerprintOf('POST', PATH, { a: 1 })).toBe(fingerprintOf('POST', PATH, JSON.parse('{ "a": 1.0 }')));
    expect(new Set([fingerprintOf('POST', PATH, { a: 1 }), fingerprintOf('POST', PATH, { a: 2 }), fingerprintOf('POST', `${PATH}/x`, { a: 1 }), fingerprintOf('gRPC', PATH, { a: 1 })]).size).toBe(4);
  });

  it.each(['', ' ', 'a ', 'a\nb', 'é', 'x'.repeat(256)])('cannot be %j', (key) => {
    expect(() => idempotencyOf(key, OF_ALL, 'POST', PATH, {})).toThrow('printable ASCII');
  });

  it('need not be', () => {
    expect(idempotencyOf(undefined, OF_ALL, 'POST', PATH, {})).toBeUndefined();
  });
});
