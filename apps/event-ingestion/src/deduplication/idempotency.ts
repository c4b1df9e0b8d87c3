import { hash } from 'node:crypto';
import { Problem } from '@posthorn/service-kit';
import type { Note } from './deduplicator.js';
import { type Hash, hashOfKey, hashOfUse } from './hash.js';

/** A request that is to have its effect once, however often it is made. */
export type Idempotency = {
  /** Drawn by the client. */
  readonly key: string;
  /** Of what was asked: the same key for something else is a mistake of the client. */
  readonly fingerprint: string;
};

export const IDEMPOTENCY_KEY_HEADER = 'idempotency-key';

const KEY = /^[\x21-\x7e](?:[\x20-\x7e]{0,253}[\x21-\x7e])?$/;

/**
 * @param asked all that makes the request what it is, but the key
 * @throws {Problem} `malformed` when the key cannot be one
 */
export const idempotencyOf = (key: unknown, asked: readonly (string | Buffer)[]): Idempotency | undefined => {
  if (key === undefined) return undefined;
  if (typeof key !== 'string' || !KEY.test(key)) throw new Problem('malformed', 'Idempotency-Key is 1 to 255 printable ASCII characters.');
  return { key, fingerprint: hash('sha256', Buffer.concat(asked.flatMap((part) => [Buffer.from(part), NUL])), 'hex') };
};

const NUL = Buffer.alloc(1);
const ignore = (): void => undefined;

/** Where what is no event is remembered as long as one. */
export type Notes = { note(hash: Hash, deadlineMs: number): Promise<Note> };

/**
 * Holds a key to what was first asked under it. The answers need not be kept: events without an id get one from the key, and so a
 * repetition meets the same events and is answered as they were.
 * @throws {Problem} `idempotency_conflict`
 * @throws {KafkaError} `unavailable`
 */
export const holdKey = async (notes: Notes, actor: string, tenant: string, { key, fingerprint }: Idempotency, deadlineMs: number): Promise<void> => {
  const halves = [notes.note(hashOfKey(actor, tenant, key), deadlineMs), notes.note(hashOfUse(actor, tenant, key, fingerprint), deadlineMs)] as const;
  const [used, use] = await Promise.all(halves).catch((error: unknown) => {
    // A half that nobody keeps or forgets would be under way as long as this process lives, and whoever asks again would wait for it.
    for (const half of halves) void half.then((note) => note.kind === 'new' && note.forget(), ignore);
    throw error;
  });
  if (used.kind === 'known' && use.kind === 'new') {
    use.forget();
    throw new Problem('idempotency_conflict', 'The Idempotency-Key was used for another request.');
  }
  if (used.kind === 'new') used.keep();
  if (use.kind === 'new') use.keep();
};
