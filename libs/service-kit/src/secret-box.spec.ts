import { randomBytes } from 'node:crypto';
import { describe, expect, it } from '@jest/globals';
import { encryptionKeys, SecretBox } from './secret-box.js';

const one = randomBytes(32);
const two = randomBytes(32);

describe('SecretBox', () => {
  it('gives back what it was given, and never writes the same twice', () => {
    const box = new SecretBox([['k1', one]]);
    const [a, b] = [box.encrypt('geheim ☂'), box.encrypt('geheim ☂')];
    expect([box.decrypt(a), box.decrypt(b)]).toEqual(['geheim ☂', 'geheim ☂']);
    expect(a.ciphertext).not.toBe(b.ciphertext);
    expect(box.decrypt(box.encrypt(''))).toBe('');
  });

  it('reads after a rotation what the old key wrote, and writes with the new one', () => {
    const old = new SecretBox([['k1', one]]).encrypt('s');
    const rotated = new SecretBox([['k2', two], ['k1', one]]);
    expect(rotated.decrypt(old)).toBe('s');
    expect(rotated.encrypt('s').key_id).toBe('k2');
    expect([rotated.isCurrent(old), rotated.isCurrent(rotated.encrypt('s'))]).toEqual([false, true]);
  });

  it('names the key it does not have', () => {
    const secret = new SecretBox([['k1', one]]).encrypt('s');
    expect(() => new SecretBox([['k2', two]]).decrypt(secret)).toThrow(expect.objectContaining({ code: 'unknown_key', message: expect.stringContaining('k1') }));
  });

  it.each([0, 12, -1])('refuses a secret of which byte %i was changed', (at) => {
    const box = new SecretBox([['k1', one]]);
    const { key_id, ciphertext } = box.encrypt('secret');
    const bytes = Buffer.from(ciphertext, 'base64');
    const index = at < 0 ? bytes.length + at : at;
    bytes[index] = (bytes[index] ?? 0) ^ 1;
    expect(() => box.decrypt({ key_id, ciphertext: bytes.toString('base64') })).toThrow(expect.objectContaining({ code: 'not_authentic' }));
  });

  it.each(['', 'AAAA', randomBytes(27).toString('base64')])('refuses %j, which is too short to be one of its own', (ciphertext) => {
    expect(() => new SecretBox([['k1', one]]).decrypt({ key_id: 'k1', ciphertext })).toThrow(expect.objectContaining({ code: 'not_authentic' }));
  });
});

describe('encryptionKeys', () => {
  it('reads id:base64 pairs, the first one writes', () => {
    const box = encryptionKeys.parse(`new:${two.toString('base64')}, old:${one.toString('base64')}`);
    expect(box.encrypt('s').key_id).toBe('new');
    expect(box.decrypt(new SecretBox([['old', one]]).encrypt('s'))).toBe('s');
  });

  it.each([
    ['', 'nothing'],
    ['k1', 'no key'],
    [`k1:${randomBytes(16).toString('base64')}`, '16 bytes'],
    [`k1:${one.toString('base64')},`, 'an empty entry'],
    [`k1:${one.toString('base64')},k1:${two.toString('base64')}`, 'an id twice'],
  ])('refuses %j: %s', (text) => {
    const { error } = encryptionKeys.safeParse(text);
    expect(error?.issues).toHaveLength(1);
    expect(JSON.stringify(error?.issues)).not.toContain(one.toString('base64'));
  });
});
