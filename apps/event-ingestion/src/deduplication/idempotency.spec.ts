import { describe, expect, it } from '@jest/globals';
import { KafkaError } from '@posthorn/kafka';
import { hashOfKey, hashOfUse } from './hash.js';
import { holdKey, idempotencyOf, type Notes } from './idempotency.js';

const late = new KafkaError('unavailable', 'too late');
const asked = idempotencyOf('k-1', ['event', 'body']) ?? { key: '', fingerprint: '' };
const ofKey = hashOfKey('admin', 'acme', asked.key);
const ofUse = hashOfUse('admin', 'acme', asked.key, asked.fingerprint);

const turn = (): Promise<void> => new Promise((resolve) => void setImmediate(resolve));

/** Answers for one of the two and is too late for the other, in either order. */
const notesThatFail = (failing: string) => {
  const left = new Set<string>();
  const notes: Notes = {
    note: async (hash) => {
      if (hash === failing) throw late;
      left.add(hash);
      await turn();
      return { kind: 'new', keep: () => left.delete(hash), forget: () => left.delete(hash) };
    },
  };
  return { notes, left };
};

describe('a key of which one half cannot be noted in time', () => {
  it.each([
    ['the key', ofKey],
    ['its use', ofUse],
  ])('leaves nothing under way: %s', async (_, failing) => {
    const { notes, left } = notesThatFail(failing);
    await expect(holdKey(notes, 'admin', 'acme', asked, 10)).rejects.toBe(late);
    await turn();
    expect([...left]).toEqual([]);
  });
});
