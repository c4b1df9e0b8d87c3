import { recordSchemas, requireKnownSchema, timeInUtc } from '@posthorn/contracts';
import type { FollowedRecord, Kafka } from '@posthorn/kafka';
import type { Log } from '@posthorn/service-kit';
import type { Pool } from 'pg';
import { z } from 'zod';
import { SCHEMA } from '../migrations/migrations.js';

export type LastUsesOptions = {
  /** Brings the column up to date: when each of these keys was last used. */
  readonly write: (uses: ReadonlyMap<string, string>) => Promise<unknown>;
  readonly log: Pick<Log, 'warn' | 'debug'>;
  readonly intervalMs?: number;
};

const INTERVAL_MS = 1_000;
/** As the database takes it: what it refuses once would be tried again for ever, and with it all that came after. */
const keyUsed = recordSchemas.keyUsed.extend({ key_id: z.string().regex(/^[\x21-\x7e]+$/), at: timeInUtc });

/**
 * When keys were last used, from `keys.used` to the database: at most one statement a second, whatever is going on.
 *
 * Every replica reads the whole topic, from its beginning, and writes the same; later uses win in any order. A consumer group would write
 * each once, for the price of commits and rebalances, and would not fill the column again after the table was made anew. The topic is
 * compacted: there is a record for each key and service.
 */
export class LastUses {
  readonly #unwritten = new Map<string, string>();
  #timer: NodeJS.Timeout | undefined;
  #isClosed = false;
  readonly #options: LastUsesOptions;

  constructor(options: LastUsesOptions) {
    this.#options = options;
  }

  /** A record that this version cannot read is passed over: it says no more than that a key was used. */
  note({ value, headers }: Pick<FollowedRecord, 'value' | 'headers'>): void {
    if (value === null) return;
    try {
      requireKnownSchema(headers);
      const { key_id, at } = keyUsed.parse(JSON.parse(value.toString()));
      this.#add(key_id, new Date(at).toISOString());
    } catch (err) {
      this.#options.log.warn({ err }, 'a record of keys.used cannot be read');
    }
  }

  close(): void {
    this.#isClosed = true;
    clearTimeout(this.#timer);
  }

  #add(keyId: string, at: string): void {
    const known = this.#unwritten.get(keyId);
    if (known === undefined || known < at) this.#unwritten.set(keyId, at);
    this.#schedule();
  }

  #schedule(): void {
    if (this.#timer !== undefined || this.#isClosed) return;
    this.#timer = setTimeout(() => void this.#write(), this.#options.intervalMs ?? INTERVAL_MS);
    this.#timer.unref();
  }

  async #write(): Promise<void> {
    const uses = new Map(this.#unwritten);
    this.#unwritten.clear();
    try {
      await this.#options.write(uses);
    } catch (err) {
      this.#options.log.debug({ err }, 'could not write when keys were last used; trying again');
      for (const [keyId, at] of uses) this.#add(keyId, at);
    }
    this.#timer = undefined;
    if (this.#unwritten.size > 0) this.#schedule();
  }
}

const UPDATE = `
  update ${SCHEMA}.api_keys as key set last_used_at = used.at
    from unnest($1::text[], $2::timestamptz[]) as used (id, at)
    where key.id = used.id and (key.last_used_at is null or key.last_used_at < used.at)`;

/** Keeps `api_keys.last_used_at` up to date until it is closed. */
export const followLastUses = async (kafka: Kafka, pool: Pick<Pool, 'query'>, log: Log): Promise<{ close(): void }> => {
  const uses = new LastUses({ write: (latest) => pool.query(UPDATE, [[...latest.keys()], [...latest.values()]]), log });
  await kafka.ensureTopics(['keys.used']);
  await kafka.follow({ topic: kafka.topic('keys.used'), onRecord: (record) => uses.note(record) });
  return uses;
};
