import { createHash, randomBytes } from 'node:crypto';
import { constants, gzipSync } from 'node:zlib';
import { describe, expect, it } from '@jest/globals';
import { decodedBody, isGzipped } from './content-coding.js';

const gzip = { 'content-encoding': 'gzip' };
const text = Buffer.from('{"type":"a","data":1}');
const packed = gzipSync(text);

describe('a coded body', () => {
  it.each(['gzip', 'GZIP', 'x-gzip'])('is inflated from %s', async (coding) => {
    expect(await decodedBody({ 'content-encoding': coding }, packed, 1_000)).toEqual(text);
  });

  it.each([{}, { 'content-encoding': 'identity' }])('that is not coded is left alone: %j', (headers) => {
    expect(decodedBody(headers, packed, 1)).toBe(packed);
  });

  it('may come in several members', async () => {
    expect(await decodedBody(gzip, Buffer.concat([packed, packed]), 1_000)).toEqual(Buffer.concat([text, text]));
  });

  it.each([
    ['cut short', packed.subarray(0, -4)],
    ['empty', Buffer.alloc(0)],
    ['not gzip', text],
    ['changed on its way', Buffer.concat([packed.subarray(0, -8), createHash('md5').update('').digest().subarray(0, 8)])],
  ])('that is %s is malformed', async (_, body) => {
    expect(await decodedBody(gzip, body, 1_000)).toMatchObject({ kind: 'refused', code: 'malformed' });
  });

  it.each(['br', 'deflate', 'gzip, gzip', 'zstd', ''])('by %j is not taken', async (coding) => {
    expect(await decodedBody({ 'content-encoding': coding }, packed, 1_000)).toMatchObject({ code: 'unsupported_media_type', path: 'content-encoding' });
  });

  it('has its limit to the byte', async () => {
    const incompressible = randomBytes(1_000);
    expect(await decodedBody(gzip, gzipSync(incompressible), 1_000)).toEqual(incompressible);
    expect(await decodedBody(gzip, gzipSync(incompressible), 999)).toMatchObject({ code: 'too_large' });
  });

  it('that is a bomb goes off in little room', async () => {
    const bomb = gzipSync(Buffer.alloc(256 * 1024 * 1024), { level: constants.Z_BEST_SPEED });
    const beforeBytes = process.memoryUsage().arrayBuffers;
    let mostBytes = 0;
    const watch = setInterval(() => (mostBytes = Math.max(mostBytes, process.memoryUsage().arrayBuffers)), 1);
    expect(await decodedBody(gzip, bomb, 8 * 1024 * 1024)).toMatchObject({ code: 'too_large' });
    clearInterval(watch);
    expect(mostBytes - beforeBytes).toBeLessThan(32 * 1024 * 1024);
  });

  it('is told from one that is not', () => {
    expect([gzip, { 'content-encoding': 'x-gzip' }, {}, { 'content-encoding': 'br' }].map(isGzipped)).toEqual([true, true, false, false]);
  });
});
