import { Problem, type Idempotency } from '@posthorn/service-kit';
import type { ClientBase, Pool } from 'pg';
import type { Queryable } from '../registry/subscriptions.js';

/** Whose request it is. */
export type Requested = { readonly actor: string; readonly idempotency: Idempotency | undefined };

/** @property isRepetition the request was made before; this is what it was answered then */
export type Answered<Answer> = { readonly answer: Answer; readonly isRepetition: boolean };

/** Within the transaction that the answer tells of; or on the pool, when nothing was changed. */
export type Remember<Answer> = (client: Pick<ClientBase, 'query'>, answer: Answer) => Promise<void>;

/** Another request with the same key was answered meanwhile; what this one has done must be undone. */
class KeyTaken extends Error {
  override readonly name = 'KeyTaken';
}

const KEPT = "interval '24 hours'";

type Row = { readonly fingerprint: Buffer; readonly answer: unknown };

/** What requests with an idempotency key were answered, for 24 hours. */
export class RememberedAnswers {
  constructor(private readonly pool: Pool) {}

  /**
   * What the request was answered before; or what `make` answers now, which remembers it in its own transaction.
   * @throws {Problem} `idempotency_conflict` when the key was used for another request
   */
  async once<Answer>({ actor, idempotency }: Requested, make: (remember: Remember<Answer>) => Promise<Answer>): Promise<Answered<Answer>> {
    const told = await this.#find(actor, idempotency);
    // What was remembered under this key for this request was made by the same `make`.
    if (told) return { answer: told.answer as Answer, isRepetition: true };
    try {
      const answer = await make(async (client, made) => {
        if (idempotency) await remember(client, actor, idempotency, made);
      });
      return { answer, isRepetition: false };
    } catch (error) {
      // Refused, perhaps, because the same request was made at the same time and has had its effect.
      const meanwhile = await this.#find(actor, idempotency);
      if (meanwhile) return { answer: meanwhile.answer as Answer, isRepetition: true }; // as above
      throw error;
    }
  }

  async #find(actor: string, idempotency: Idempotency | undefined): Promise<Row | undefined> {
    if (idempotency === undefined) return undefined;
    const { key, fingerprint } = idempotency;
    const { rows } = await this.pool.query<Row>(
      `select fingerprint, answer from replays.answers where actor = $1 and key = $2 and created_at > now() - ${KEPT}`,
      [actor, key],
    );
    const [row] = rows;
    if (row === undefined || row.fingerprint.equals(fingerprint)) return row;
    throw new Problem('idempotency_conflict', 'This Idempotency-Key came with another request before.');
  }
}

/** @throws {KeyTaken} */
const remember = async (client: Pick<ClientBase, 'query'>, actor: string, { key, fingerprint }: Idempotency, answer: unknown): Promise<void> => {
  const { rowCount } = await client.query(
    `insert into replays.answers as present (actor, key, fingerprint, answer, created_at) values ($1, $2, $3, $4, now())
     on conflict (actor, key) do update set fingerprint = excluded.fingerprint, answer = excluded.answer, created_at = excluded.created_at
       where present.created_at <= now() - ${KEPT}`,
    [actor, key, fingerprint, JSON.stringify(answer)],
  );
  if (rowCount === 0) throw new KeyTaken();
};

/** No longer asked for. */
export const removeOldAnswers = async (database: Queryable): Promise<void> => {
  await database.query(`delete from replays.answers where created_at <= now() - ${KEPT}`);
};
