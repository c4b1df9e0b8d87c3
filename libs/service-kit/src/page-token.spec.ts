import { describe, expect, it } from '@jest/globals';
import { z } from 'zod';
import { decodePageToken, encodePageToken } from './page-token.js';

const position = z.tuple([z.string(), z.number().int()]);

describe('page tokens', () => {
  it('come back as they went, and need no escaping in a URL', () => {
    const token = encodePageToken(['ü/?&', 7]);
    expect(token).toMatch(/^[\w-]+$/);
    expect(decodePageToken(position, token)).toEqual(['ü/?&', 7]);
  });

  it.each(['', 'x', '%', encodePageToken(['a']), encodePageToken(null), encodePageToken(['a', 1]).slice(0, -2)])('refuse %j', (token) => {
    expect(() => decodePageToken(position, token)).toThrow(
      expect.objectContaining({ code: 'invalid', errors: [{ path: 'page_token', message: 'is not a token of this list' }] }),
    );
  });
});
