import type { Encrypted } from '@posthorn/contracts';
import { Problem, type Idempotency, type SecretBox } from '@posthorn/service-kit';
import type { ClientBase, Pool } from 'pg';
import { SCHEMA } from '../migrations/migrations.js';

/** Another request with the same key was answered meanwhile; what this one has done must be undone. */
export class KeyTaken extends Error {
  override readonly name = 'KeyTaken';
}

type Row = { readonly fingerprint: Buffer; readonly answer: Encrypted };

const TABLE = `${SCHEMA}.idempotency`;
const KEPT = "interval '24 hours'";
const SWEEP_INTERVAL_MS = 60_000;
const SWEPT_AT_ONCE = 1_000;

/** What requests with an idempotency key were answered, for 24 hours. Encrypted: an answer may hold a secret that is told once. */
export class RememberedAnswers {
  readonly #pool: Pool;
  readonly #secrets: SecretBox;
  readonly #log: { warn(fields: object, message: string): void };
  #lastSweepMs = 0;

  constructor(pool: Pool, secrets: SecretBox, log: { warn(fields: object, message: string): void }) {
    this.#pool = pool;
    this.#secrets = secrets;
    this.#log = log;
  }

  /**
   * What this request was answered before; undefined when it was not.
   * @throws {Problem} `idempotency_conflict` when the key was used for another request
   */
  async find(actor: string, { key, fingerprint }: Idempotency): Promise<unknown> {
    const { rows } = await this.#pool.query<Row>(
      `select fingerprint, answer from ${TABLE} where actor = $1 and key = $2 and created_at > now() - ${KEPT}`,
      [actor, key],
    );
    const [row] = rows;
    if (!row) return undefined;
    if (row.fingerprint.equals(fingerprint)) return JSON.parse(this.#secrets.decrypt(row.answer));
    throw new Problem('idempotency_conflict', 'This Idempotency-Key came with another request before.');
  }

  /**
   * Remembers an answer: with the transaction that it tells of, or on its own when nothing was changed.
   * @throws {KeyTaken}
   */
  async remember(transaction: ClientBase | undefined, actor: string, { key, fingerprint }: Idempotency, answer: object): Promise<void> {
    const { rowCount } = await (transaction ?? this.#pool).query(
      `insert into ${TABLE} as present (actor, key, fingerprint, answer, created_at) values ($1, $2, $3, $4, now())
       on conflict (actor, key) do update
         set fingerprint = excluded.fingerprint, answer = excluded.answer, created_at = excluded.created_at
         where present.created_at <= now() - ${KEPT}`,
      [actor, key, fingerprint, this.#secrets.encrypt(JSON.stringify(answer))],
    );
    if (rowCount === 0) throw new KeyTaken();
    this.#sweep();
  }

  /** Removes in passing what is too old to be asked for. Beside the request, which it shall not delay. */
  #sweep(): void {
    const nowMs = Date.now();
    if (nowMs - this.#lastSweepMs < SWEEP_INTERVAL_MS) return;
    this.#lastSweepMs = nowMs;
    this.removeOld().catch((err: unknown) => this.#log.warn({ err }, 'old idempotency keys could not be removed'));
  }

  /** In bites, so that no statement holds its locks for long. */
  async removeOld(): Promise<void> {
    let removed: number | null;
    do {
      ({ rowCount: removed } = await this.#pool.query(
        `delete from ${TABLE} where (actor, key) in (
           select actor, key from ${TABLE} where created_at <= now() - ${KEPT} order by created_at limit ${SWEPT_AT_ONCE}
         )`,
      ));
    } while (removed === SWEPT_AT_ONCE);
  }
}
