import type { Encrypted } from '@posthorn/contracts';
import type { NewEvent } from '@posthorn/event-store';
import { SecretBoxError, type SecretBox } from '@posthorn/service-kit';
import type { Pool } from 'pg';
import { changeOf, type Aggregates, type AggregateType, type CommandFor } from '../aggregates.js';
import { SCHEMA } from '../migrations/migrations.js';
import { portalKeyAggregate } from '../portal/portal-key-table.js';
import { subscriptionAggregate } from '../subscriptions/subscription-table.js';
import { encryptedAnew, reencryptPortalKey, reencryptSubscription } from './encrypted-anew.js';
import type { Progress } from './progress.js';

export type ReencryptParts = {
  readonly pool: Pool;
  readonly aggregates: Pick<Aggregates, 'changeMany'>;
  readonly secrets: SecretBox;
  /** Of what was looked at. */
  readonly progress: Progress;
};

export type Reencrypted = {
  /** How many were encrypted anew. */
  readonly changed: number;
  /** What could not be: its key is not among those that are configured, or not the one it was. */
  readonly failures: readonly string[];
};

export const ACTOR = 'posthorn-registry reencrypt';
/** Aggregates an append, and rows a statement. */
const BATCH = 1_000;

const now = (): string => new Date().toISOString();

/**
 * Encrypts by the key that encrypts now whatever in the read model is encrypted by another. Events keep the old ciphertexts; nobody
 * decrypts those: what they led to has been encrypted anew by a later event.
 */
export const reencrypt = async (parts: ReencryptParts): Promise<Reencrypted> => {
  const { secrets } = parts;
  const results = [
    await reencryptAggregates(parts, portalKeyAggregate, (state) => reencryptPortalKey(secrets, state, now())),
    await reencryptAggregates(parts, subscriptionAggregate, (state) => reencryptSubscription(secrets, state, now())),
    await reencryptAnswers(parts),
  ];
  return {
    changed: results.reduce((sum, { changed }) => sum + changed, 0),
    failures: results.flatMap(({ failures }) => failures),
  };
};

const reencryptAggregates = async <Command, State, Event extends NewEvent>(
  { pool, aggregates, progress }: ReencryptParts,
  type: AggregateType<Command, State, Event>,
  commandFor: CommandFor<Command, State>,
): Promise<Reencrypted> => {
  const failures: string[] = [];
  let changed = 0;
  for (let after = ''; ; ) {
    const { rows } = await pool.query<{ id: string; state: State }>(
      `select id, state from ${SCHEMA}.${type.table} where id > $1 order by id limit ${BATCH}`,
      [after],
    );
    const outdated = rows.filter(({ id, state }) => attempted(failures, `${type.kind} ${id}`, () => commandFor(state)) !== undefined);
    if (outdated.length > 0) {
      // Decided on the state there is when it is appended, not on the row: that may have changed since.
      const changes = outdated.map(({ id }) => changeOf(type, id, commandFor));
      await aggregates.changeMany(changes, { by: { actor: ACTOR } }, { answer: () => undefined });
      changed += outdated.length;
    }
    progress.add(rows.length);
    const last = rows.at(-1);
    if (!last) return { changed, failures };
    after = last.id;
  }
};

type AnswerRow = { readonly actor: string; readonly key: string; readonly answer: Encrypted };

/** What idempotent requests were answered: no aggregates, and too old to be asked for within a day, but in use until then. */
const reencryptAnswers = async ({ pool, secrets, progress }: ReencryptParts): Promise<Reencrypted> => {
  const failures: string[] = [];
  let changed = 0;
  for (let after: Pick<AnswerRow, 'actor' | 'key'> = { actor: '', key: '' }; ; ) {
    const { rows } = await pool.query<AnswerRow>(
      `select actor, key, answer from ${SCHEMA}.idempotency where (actor, key) > ($1, $2) order by actor, key limit ${BATCH}`,
      [after.actor, after.key],
    );
    for (const { actor, key, answer } of rows) {
      const anew = attempted(failures, `the answer to ${key} of ${actor}`, () => encryptedAnew(secrets, answer));
      if (anew === undefined || anew === answer) continue;
      const { rowCount } = await pool.query(`update ${SCHEMA}.idempotency set answer = $4 where actor = $1 and key = $2 and answer = $3`, [
        actor,
        key,
        answer,
        anew,
      ]);
      changed += rowCount ?? 0;
    }
    progress.add(rows.length);
    const last = rows.at(-1);
    if (!last) return { changed, failures };
    after = last;
  }
};

/** Undefined also when it cannot be decrypted, which is then among the failures. */
const attempted = <T>(failures: string[], what: string, work: () => T): T | undefined => {
  try {
    return work();
  } catch (error) {
    if (!(error instanceof SecretBoxError)) throw error;
    failures.push(`${what}: ${error.message}`);
    return undefined;
  }
};
