import { hash, randomFillSync } from 'node:crypto';

/**
 * Ids are a three-letter prefix, an underscore and 32 hexadecimal digits. New ones start with the time in milliseconds
 * (as UUIDv7 does, RFC 9562), so that they sort by age and new rows fall at the end of an index.
 */
export type IdPrefix = 'sub' | 'evt' | 'key' | 'rpl' | 'pky' | 'rej';

const RANDOM_BYTES_PER_ID = 10;
const pool = Buffer.alloc(RANDOM_BYTES_PER_ID * 256);
let used = pool.length;

/** 20 hexadecimal digits. Randomness is drawn 256 ids at a time: a system call for each would cost more than the rest. */
const randomHex = (): string => {
  if (used === pool.length) {
    randomFillSync(pool);
    used = 0;
  }
  return pool.toString('hex', used, (used += RANDOM_BYTES_PER_ID));
};

export const newId = (prefix: IdPrefix, nowMs: number = Date.now()): string =>
  `${prefix}_${nowMs.toString(16).padStart(12, '0')}${randomHex()}`;

const digest = (...parts: readonly string[]): string => hash('sha256', parts.join('\0'), 'hex').slice(0, 32);

/**
 * One event for one subscription. Derived, not drawn: whoever computes it, before or after a crash, gets the same id,
 * and so a repeated record can never become a second row in the audit.
 */
export const deliveryId = (tenant: string, event: string, subscription: string): string =>
  `dlv_${digest(tenant, event, subscription)}`;

/** The id of an event that came over Kafka without one: the record's place, so that reading it twice gives one event. */
export const eventIdOfRecord = (topic: string, partition: number, offset: string, timestampMs: number): string =>
  `evt_${digest(topic, String(partition), offset, String(timestampMs))}`;

/** The id of an event that was published without one, but under an `Idempotency-Key`: published again it is the same event. */
export const eventIdOfKey = (actor: string, tenant: string, key: string, index: number): string =>
  `evt_${digest(actor, tenant, key, String(index))}`;

/** The id of the rejection of what stands there. */
export const rejectionIdOfRecord = (topic: string, partition: number, offset: string, timestampMs: number): string =>
  `rej_${digest(topic, String(partition), offset, String(timestampMs))}`;

/** The id of an operational event, derived from what it tells of: a domain event, or the end of a delivery's round. */
export const operationId = (streamOrDelivery: string, versionOrRound: number): string => `opn_${digest(streamOrDelivery, String(versionOrRound))}`;
