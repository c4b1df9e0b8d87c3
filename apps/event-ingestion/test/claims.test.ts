import { randomUUID } from 'node:crypto';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { eventually } from '@posthorn/testkit';
import { Client } from 'pg';
import { type Claimed, OwnerLost, PgClaims } from '../src/deduplication/claims.js';
import { type Hash, hashOfEvent } from '../src/deduplication/hash.js';
import { createDatabase, type TestDatabase } from './database.js';

jest.setTimeout(60_000);

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const WINDOW = 24 * HOUR;
const LAPSE = 5_000;

let database: TestDatabase;
let clockMs: number;
const opened: PgClaims[] = [];

beforeAll(async () => {
  database = await createDatabase();
});

beforeEach(async () => {
  clockMs = Date.UTC(2026, 0, 1);
  await database.query('truncate ingestion.owners, ingestion.claims, ingestion.ids_0, ingestion.ids_1, ingestion.ids_2');
  await database.query(`update ingestion.slots set starts = '-infinity', ends = '-infinity'`);
});

afterEach(async () => {
  for (const claims of opened.splice(0)) await claims.close();
});

afterAll(() => database?.drop());

/** Somebody who claims, with a connection, and if it is wanted a clock, of their own. */
const replica = async (nowMs = () => clockMs, windowMs = WINDOW) => {
  const claims = new PgClaims({ url: database.url, windowMs, lapseMs: LAPSE, nowMs });
  opened.push(claims);
  const owner = randomUUID();
  await claims.enter(owner);
  let ticket = 0;
  const take = async (ids: readonly string[], more: { ticket?: number; closed?: readonly string[]; staysOpen?: boolean } = {}) => {
    const hashes = hashesOf(ids);
    const claim = { ticket: more.ticket ?? ++ticket, hashes, bounds: [3, 0], staysOpen: more.staysOpen ?? true };
    const claimed = (await claims.claim(owner, more.closed ?? [], claim)) as Claimed;
    const fate = new Map(hashes.map((hash, place) => [hash, claimed.lost.get(place) ?? 'won']));
    return { id: claimed.id, fates: ids.map((id) => fate.get(hashOfEvent('t', id))) };
  };
  const close = (...ids: readonly string[]) => claims.claim(owner, ids, undefined);
  return { claims, owner, take, close };
};

const hashesOf = (ids: readonly string[]): readonly Hash[] => ids.map((id) => hashOfEvent('t', id)).sort();
const numbered = (count: number, prefix = 'e') => Array.from({ length: count }, (_, n) => `${prefix}${n}`);

describe('an id', () => {
  it('is won once, in doubt while its claim is open, a duplicate when that is closed', async () => {
    const [a, b] = [await replica(), await replica()];
    const { id, fates } = await a.take(['x', 'y']);
    expect(fates).toEqual(['won', 'won']);
    expect((await b.take(['x', 'z'])).fates).toEqual(['open', 'won']);
    await a.close(id);
    expect((await b.take(['x', 'y', 'z'])).fates).toEqual(['closed', 'closed', 'open']);
  });

  it('that was released can be won again, and its neighbours cannot', async () => {
    const [a, b] = [await replica(), await replica()];
    const { id } = await a.take(['x', 'y']);
    await a.claims.release(id, hashesOf(['x']), false);
    expect((await b.take(['x', 'y'])).fates).toEqual(['won', 'open']);
    // Late, and repeated: what is another's by now stays so.
    await a.claims.release(id, hashesOf(['x']), true);
    expect((await a.take(['x', 'y'])).fates).toEqual(['open', 'closed']);
  });

  it('is the same claim when the statement is repeated, whether it had been done or not', async () => {
    const [a, b] = [await replica(), await replica()];
    await b.take(['z']);
    const first = await a.take(['x', 'y', 'z'], { ticket: 7 });
    const again = await a.take(['x', 'y', 'z'], { ticket: 7 });
    expect(again).toEqual(first);
    expect(first.fates).toEqual(['won', 'won', 'open']);
  });

  it('that is only to be remembered is a duplicate at once', async () => {
    const a = await replica();
    await a.take(['x'], { staysOpen: false });
    expect((await a.take(['x'])).fates).toEqual(['closed']);
  });

  it('is won by exactly one of many that race, whatever the order in which they name it', async () => {
    const replicas = await Promise.all(Array.from({ length: 4 }, () => replica(() => Date.now())));
    const wins = new Map<string, number>();
    for (let round = 0; round < 10; round++) {
      const ids = numbered(200, `r${round}-`);
      const results = await Promise.all(replicas.map(({ take }) => take(ids)));
      for (const { fates } of results) {
        for (const [n, fate] of fates.entries()) if (fate === 'won') wins.set(ids[n] ?? '', (wins.get(ids[n] ?? '') ?? 0) + 1);
      }
    }
    expect(wins.size).toBe(2000);
    expect(new Set(wins.values())).toEqual(new Set([1]));
  });
});

describe('the window', () => {
  it('is 24 hours: known before, forgotten after, wherever the slots turn', async () => {
    const a = await replica();
    for (const offset of [0, 5, 11, 12, 13, 23].map((hours) => hours * HOUR)) {
      clockMs = Date.UTC(2026, 1, 1) + 100 * offset;
      const start = clockMs;
      const id = `w${offset}`;
      // Something comes all the time, so that slots turn.
      for (let ms = 0; ms < offset; ms += HOUR) {
        clockMs = start + ms;
        await a.close((await a.take([`${id}-before-${ms}`])).id);
      }
      const at = clockMs;
      await a.close((await a.take([id])).id);
      for (let ms = HOUR / 2; ms <= 23 * HOUR; ms += HOUR / 2) {
        clockMs = at + ms;
        expect([ms / HOUR, (await a.take([id])).fates]).toEqual([ms / HOUR, ['closed']]);
        await a.close((await a.take([`${id}-${ms}`])).id);
      }
      clockMs = at + WINDOW - 1_000;
      expect((await a.take([id])).fates).toEqual(['closed']);
      clockMs = at + WINDOW + 1_000;
      expect((await a.take([id])).fates).toEqual(['won']);
    }
  });

  it.each([
    ['just before the turn', -1, 1],
    ['just before the turn, and another a while after', -1, 30_000],
    ['in the first minute, and another after it', 59_000, 61_000],
  ])('has no hole between two slots: a claim %s that is not committed yet', async (_, before, after) => {
    const [a, b] = [await replica(), await replica()];
    await b.take(['begin']);
    const turn = clockMs + WINDOW / 2;
    clockMs = turn - 2;
    const slow = new Client({ connectionString: database.url });
    await slow.connect();
    await slow.query('begin');
    if (before > 0) {
      clockMs = turn;
      await b.take(['turned']);
    }
    await slow.query(`select ingestion.claim($1, 1, $2, '{}', '{}', true, '24 hours', to_timestamp($3::double precision / 1000))`, [
      a.owner,
      hashesOf(['x']),
      turn + before,
    ]);
    clockMs = turn + after;
    const taken = b.take(['x']);
    const waits = async () =>
      (await database.query(`select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`)).length > 0;
    await Promise.race([taken, eventually(waits)]);
    await slow.query('commit');
    await slow.end();
    expect((await taken).fates).toEqual(['open']);
  });

  it('forgets in both of two overlapping slots what is released', async () => {
    const a = await replica();
    await a.take(['begin']);
    clockMs += WINDOW / 2 + 1_000;
    const { id } = await a.take(['x']);
    await a.claims.release(id, hashesOf(['x']), true);
    expect((await a.take(['x'])).fates).toEqual(['won']);
  });

  it('that has been made smaller lets go of what lies in a slot of the length of before, when its claim is closed', async () => {
    const before = await replica();
    await before.close((await before.take(['x', 'y'])).id);
    await before.take(['open']);
    clockMs += 2 * HOUR;
    const [a, b] = [await replica(undefined, HOUR), await replica(undefined, HOUR)];
    expect((await a.take(['x', 'open'])).fates).toEqual(['won', 'open']);
    expect((await b.take(['x', 'y'])).fates).toEqual(['open', 'won']);
  });

  it('of a minute is known before, forgotten after, though slots that overlap are as long', async () => {
    const a = await replica(undefined, MINUTE);
    for (let ms = 0; ms <= 5 * MINUTE; ms += 7_000) {
      const id = `m${ms}`;
      const at = clockMs;
      await a.close((await a.take([id])).id);
      clockMs = at + MINUTE - 1_000;
      expect([ms, (await a.take([id])).fates]).toEqual([ms, ['closed']]);
      clockMs = at + MINUTE + 1_000;
      const { id: claim, fates } = await a.take([id]);
      expect([ms, fates]).toEqual([ms, ['won']]);
      await a.close(claim);
      clockMs += 7_000;
    }
  });

  it('is longer, and nobody waits, while a backup reads the table that is to be emptied', async () => {
    const a = await replica();
    const backup = new Client({ connectionString: database.url });
    await backup.connect();
    const begin = () => backup.query('begin; lock table ingestion.ids_0, ingestion.ids_1, ingestion.ids_2 in access share mode');
    try {
      await begin();
      expect((await a.take(['first'])).fates).toEqual(['won']);
      await backup.query('commit');
      for (let n = 0; n < 4; n++) {
        await a.close((await a.take([`x${n}`, `y${n}`])).id);
        const startedMs = clockMs;
        clockMs += WINDOW / 2 + 1;
        await begin();
        expect((await a.take([`x${n}`, `z${n}`])).fates).toEqual(['closed', 'won']);
        await backup.query('commit');
        clockMs += 11_000;
        await a.take([`turned${n}`]);
        expect((await a.take([`x${n}`, `z${n}`])).fates).toEqual(['closed', 'open']);
        const [slot] = await database.query<{ starts: Date }>('select starts from ingestion.slots order by starts desc limit 1');
        expect(slot?.starts).toEqual(new Date(clockMs));
        clockMs = startedMs + WINDOW - 1;
        expect((await a.take([`y${n}`])).fates).toEqual(['closed']);
        clockMs = startedMs + WINDOW + 1;
        expect((await a.take([`y${n}`])).fates).toEqual(['won']);
      }
    } finally {
      await backup.end();
    }
  });

  it('lets a long silence pass', async () => {
    const a = await replica();
    await a.close((await a.take(['x'])).id);
    clockMs += 10 * WINDOW;
    expect((await a.take(['x', 'y'])).fates).toEqual(['won', 'won']);
    expect((await a.take(['x', 'y'])).fates).toEqual(['open', 'open']);
  });
});

describe('an owner', () => {
  it('that is not heard of is dead, and what it has left open is told', async () => {
    const [a, b] = [await replica(), await replica()];
    const { id } = await a.take(['x', 'y']);
    clockMs += LAPSE - 1;
    await b.close();
    expect(await b.claims.orphans()).toEqual([]);
    clockMs += 2;
    expect(await b.claims.orphans()).toEqual([{ id, hashes: hashesOf(['x', 'y']), bounds: [3, 0] }]);
    await expect(a.take(['z'])).rejects.toThrow(OwnerLost);
    await expect(a.close(id)).rejects.toThrow(OwnerLost);
    await b.claims.release(id, hashesOf(['y']), true);
    expect((await b.take(['x', 'y'])).fates).toEqual(['closed', 'won']);
    expect(await b.claims.orphans()).toEqual([]);
    expect(await database.query('select id from ingestion.owners')).toEqual([{ id: b.owner }]);
  });

  it('that leaves is not there any more', async () => {
    const a = await replica();
    await a.claims.close(a.owner);
    expect(await database.query('select id from ingestion.owners where id = $1', [a.owner])).toEqual([]);
  });
});
