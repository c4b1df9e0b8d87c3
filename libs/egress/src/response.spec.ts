import { describe, expect, it } from '@jest/globals';
import { readHeaders, ResponseBody } from './response.js';

const bodyOf = (...chunks: readonly (string | Buffer)[]): ResponseBody => {
  const body = new ResponseBody();
  for (const chunk of chunks) body.add(Buffer.from(chunk));
  return body;
};

describe('a response body', () => {
  it('is kept whole up to 4 KiB', () => {
    const body = bodyOf('a'.repeat(4000), 'b'.repeat(96));
    expect(body.text()).toBe('a'.repeat(4000) + 'b'.repeat(96));
    expect(body.truncated).toBe(false);
  });

  it('is cut at 4 KiB, across chunks', () => {
    const body = bodyOf('a'.repeat(4000), 'b'.repeat(97), 'c');
    expect(body.text()).toBe('a'.repeat(4000) + 'b'.repeat(96));
    expect(body.truncated).toBe(true);
    expect(body.bytes).toBe(4098);
  });

  it.each([1, 2, 3, 4])('is not cut inside a character: %i bytes before the limit', (before) => {
    const body = bodyOf(`${'a'.repeat(4096 - before)}🦔tail`);
    expect(body.text()).toBe('a'.repeat(4096 - before) + (before === 4 ? '🦔' : ''));
  });

  it('replaces what is not text, NUL included', () => {
    expect(bodyOf(Buffer.from([0x61, 0, 0xff, 0x62])).text()).toBe('a\uFFFD\uFFFDb');
    expect(bodyOf().text()).toBe('');
  });
});

describe('response headers', () => {
  it('are joined when repeated', () => {
    expect(readHeaders({ 'set-cookie': ['a=1', 'b=2'], date: 'today' })).toEqual({ 'set-cookie': 'a=1, b=2', date: 'today' });
  });

  it('are bounded in number and size, retry-after first', () => {
    const many = Object.fromEntries(Array.from({ length: 100 }, (_, i) => [`x-${i}`, 'v']));
    const kept = readHeaders({ ...many, 'retry-after': '5' });
    expect(Object.keys(kept)).toHaveLength(32);
    expect(kept['retry-after']).toBe('5');
    const large = readHeaders({ a: 'x'.repeat(4000), b: 'y'.repeat(4000), c: 'z' });
    expect(Object.keys(large)).toEqual(['a', 'c']);
  });
});
