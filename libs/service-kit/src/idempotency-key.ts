import { hash } from 'node:crypto';
import type { Caller } from './access/caller.js';
import { Problem } from './problem.js';

/** A request that is to have its effect once, however often it is made. */
export type Idempotency = {
  /** Drawn by the client; of one who has a right to one tenant only, with that: all portal tokens that a key makes are one actor. */
  readonly key: string;
  /** Of what was asked: the same key for something else is a mistake of the client. */
  readonly fingerprint: Buffer;
};

export const IDEMPOTENCY_KEY_HEADER = 'idempotency-key';
/** On the answer to a repetition. */
export const REPLAYED_HEADER = 'idempotency-replayed';

const KEY = /^[\x21-\x7e](?:[\x20-\x7e]{0,253}[\x21-\x7e])?$/;

/**
 * @param caller whose key it is
 * @param method as the door calls it: `POST`, or the name of a gRPC method
 * @param body as it was parsed; what it was spelled with does not matter
 * @throws {Problem} `malformed` when the key cannot be one
 */
export const idempotencyOf = (key: string | undefined, { tenant }: Pick<Caller, 'tenant'>, method: string, path: string, body: unknown): Idempotency | undefined => {
  if (key === undefined) return undefined;
  if (!KEY.test(key)) throw new Problem('malformed', 'Idempotency-Key is 1 to 255 printable ASCII characters.');
  return { key: tenant === undefined ? key : `${tenant} ${key}`, fingerprint: hash('sha256', `${method}\n${path}\n${JSON.stringify(body) ?? ''}`, 'buffer') };
};
