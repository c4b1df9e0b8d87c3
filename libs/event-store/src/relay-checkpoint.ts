import type { Pool } from 'pg';
import { storeNames, type StoreNames } from './schema.js';

export type RelayStanding = {
  /** Everything up to here has been published since the checkpoint was last set back. */
  readonly position: number;
  /** Whether a process leads, and so publishes what is left. */
  readonly isLed: boolean;
};

/** How far a relay has come, seen and moved from outside of the process that relays. */
export class RelayCheckpoint {
  readonly #pool: Pool;
  readonly #names: StoreNames;
  readonly #relay: string;

  constructor(pool: Pool, schema: string, relay: string) {
    this.#pool = pool;
    this.#names = storeNames(schema);
    this.#relay = relay;
  }

  /**
   * Everything is published again, from the first event on. A leader whose batch is under way does not undo this: it moves the
   * checkpoint only from where it has read it.
   */
  async setBack(): Promise<void> {
    await this.#pool.query(
      `with back as (
         insert into ${this.#names.checkpoints} (relay, position) values ($1, 0)
         on conflict (relay) do update set position = 0 returning relay
       )
       select pg_notify('${this.#names.appendedChannel}', '') from back`,
      [this.#relay],
    );
  }

  async read(): Promise<RelayStanding> {
    // The two halves of an advisory lock's key stand in the columns classid and objid (PostgreSQL manual, 53.13).
    const { rows } = await this.#pool.query<{ position: string | null; is_led: boolean }>(
      `select
         (select position from ${this.#names.checkpoints} where relay = $1) as position,
         exists (
           select from pg_locks join pg_database on pg_database.oid = pg_locks.database
           where datname = current_database() and locktype = 'advisory' and objsubid = 1 and granted
             and (classid::bigint << 32 | objid::bigint) = ${this.#names.relayLock(this.#relay)}
         ) as is_led`,
      [this.#relay],
    );
    return { position: Number(rows[0]?.position ?? 0), isLed: rows[0]?.is_led ?? false };
  }
}
