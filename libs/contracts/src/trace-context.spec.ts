import { describe, expect, it } from '@jest/globals';
import { isSampled, traceIdOf, validTraceparent } from './trace-context.js';

const traceparent = (flags: string): string => `00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-${flags}`;

describe('a traceparent', () => {
  it.each([undefined, 7, '', traceparent('1'), traceparent('0G'), `00-${'0'.repeat(32)}-b7ad6b7169203331-01`, `00-0af7651916cd43dd8448eb211c80319c-${'0'.repeat(16)}-01`])(
    'is not %j',
    (value) => expect(validTraceparent(value)).toBeUndefined(),
  );

  it('says of which trace it is', () => {
    expect(traceIdOf(traceparent('00'))).toBe('0af7651916cd43dd8448eb211c80319c');
  });

  it('says whether its trace is recorded, whatever its other flags', () => {
    const flags = Array.from({ length: 256 }, (_, bits) => ({ bits, text: traceparent(bits.toString(16).padStart(2, '0')) }));
    expect(flags.filter(({ text }) => validTraceparent(text) === undefined)).toEqual([]);
    expect(flags.filter(({ bits, text }) => isSampled(text) !== ((bits & 1) === 1))).toEqual([]);
  });
});
