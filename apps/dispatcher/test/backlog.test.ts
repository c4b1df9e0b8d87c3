import { hash } from 'node:crypto';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { AT_ONCE, BEFORE_ALL, HoldingLost, placeKey, type Holding, type Holdings, type Row, type StoredRecord, type StoredRow } from '../src/sender/ordering/backlog.js';
import { SCHEMA } from '../src/sender/ordering/migrations.js';
import { PgBacklog } from '../src/sender/ordering/pg-backlog.js';
import { MemoryBacklog } from '../src/spec-support/memory-backlog.js';
import { eventually, Way } from '@posthorn/testkit';
import { Client } from 'pg';
import { createDatabase, type TestDatabase } from './database.js';

let database: TestDatabase;
const opened: PgBacklog[] = [];

const connect = (): PgBacklog => {
  const backlog = new PgBacklog(database.url);
  opened.push(backlog);
  return backlog;
};

const uuid = (text: string): string => hash('sha256', text, 'hex').replace(/^(.{8})(.{4})(.{4})(.{4})(.{12}).*$/, '$1-$2-$3-$4-$5');

const md5 = (text: string): string => hash('md5', text, 'hex').replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');

/** The record at an offset, and what of it waits for one subscription. */
const recordAt = (offset: number, value = `value ${offset}`): StoredRecord => ({ id: uuid(`r${offset}`), offset, position: 100 + offset, value: Buffer.from(value) });
const rowAt = (offset: number, rest: Partial<Row> = {}): Row => ({
  record: uuid(`r${offset}`),
  offset,
  index: 0,
  subscription: 'sub_a',
  key: 'k',
  delivery: `dlv_${offset}_${rest.subscription ?? 'sub_a'}`,
  round: 0,
  number: 1,
  isReserved: false,
  dueAtMs: undefined,
  isEnded: false,
  ...rest,
});

const offsets = (rows: readonly StoredRow[]): readonly number[] => rows.map(({ offset }) => offset);

beforeAll(async () => {
  database = await createDatabase();
});

afterEach(async () => {
  await Promise.all(opened.splice(0).map((backlog) => backlog.close()));
  await database.query(`truncate ${SCHEMA}.backlog, ${SCHEMA}.records, ${SCHEMA}.owners`);
});

afterAll(() => database.drop());

/** A head that is due at 1000, and two behind it. */
const threeOfOneKey = async (backlog: PgBacklog | MemoryBacklog, holding: Holding): Promise<void> => {
  await backlog.park(
    holding,
    [recordAt(1), recordAt(2), recordAt(3)],
    [rowAt(1, { dueAtMs: 1_000, number: 2, isReserved: true }), rowAt(2), rowAt(3)],
  );
};

/** The rules, and what stands for them in simulations. */
describe.each([
  ['PostgreSQL', () => connect()],
  ['memory', () => new MemoryBacklog()],
])('the backlog in %s', (_, open) => {
  it('gives a head back when it is due, with all that was known of it', async () => {
    const backlog = open();
    const holding = await backlog.take(7, 0);
    await threeOfOneKey(backlog, holding);
    expect(await backlog.due(holding, 999, BEFORE_ALL, 10)).toEqual([]);
    expect(await backlog.nextDueMs(holding, BEFORE_ALL)).toBe(1_000);
    expect(await backlog.due(holding, 1_000, BEFORE_ALL, 10)).toEqual([
      { subscription: 'sub_a', key: 'k', record: uuid('r1'), offset: 1, index: 0, number: 2, isReserved: true, dueAtMs: 1_000, value: Buffer.from('value 1') },
    ]);
  });

  it('gives the next of a key when a row has ended, in the order of the partition, however they were written', async () => {
    const backlog = open();
    const holding = await backlog.take(7, 0);
    await backlog.park(holding, [recordAt(9), recordAt(10)], [rowAt(9, { index: 3, dueAtMs: 1_000 }), rowAt(10)]);
    await backlog.park(holding, [recordAt(9), recordAt(100)], [rowAt(100), rowAt(9, { index: 11, delivery: 'dlv_other' })]);
    const ended: [number, number][] = [];
    let [next] = await backlog.due(holding, 1_000, BEFORE_ALL, 10);
    while (next !== undefined) {
      ended.push([next.offset, next.index]);
      const [rows] = await backlog.advance(holding, [{ subscription: 'sub_a', key: 'k', ended: [next], wants: 'head' }]);
      next = rows?.[0];
    }
    expect(ended).toEqual([[9, 3], [9, 11], [10, 0], [100, 0]]);
  });

  it('gives many of a key where many are wanted, and for each key that is asked for its own', async () => {
    const backlog = open();
    const holding = await backlog.take(7, 0);
    await threeOfOneKey(backlog, holding);
    await backlog.park(holding, [recordAt(4), recordAt(5)], [rowAt(4, { key: 'l', dueAtMs: 1_000 }), rowAt(5, { key: 'm', dueAtMs: 1_000 })]);
    const next = await backlog.advance(holding, [
      { subscription: 'sub_a', key: 'm', ended: [rowAt(5)], wants: 'head' },
      { subscription: 'sub_a', key: 'k', ended: [rowAt(1)], wants: 'many' },
      { subscription: 'sub_a', key: 'l', ended: [], wants: 'head' },
    ]);
    expect(next.map(offsets)).toEqual([[], [2, 3], [4]]);
  });

  it('takes a statement again whose answer was lost', async () => {
    const backlog = open();
    const holding = await backlog.take(7, 0);
    await threeOfOneKey(backlog, holding);
    await threeOfOneKey(backlog, holding);
    const advance = () => backlog.advance(holding, [{ subscription: 'sub_a', key: 'k', ended: [rowAt(1)], wants: 'head' }]);
    expect((await advance()).map(offsets)).toEqual([[2]]);
    expect((await advance()).map(offsets)).toEqual([[2]]);
    await threeOfOneKey(backlog, holding);
    expect((await backlog.take(7, 0)).keys).toEqual([{ subscription: 'sub_a', key: 'k', rows: 2, head: { delivery: 'dlv_2_sub_a', round: 0 } }]);
  });

  it('has a delivery once a round while it waits, by whichever record it came', async () => {
    const backlog = open();
    const holding = await backlog.take(7, 0);
    await threeOfOneKey(backlog, holding);
    const again = [rowAt(8, { delivery: rowAt(2).delivery }), rowAt(9, { delivery: rowAt(2).delivery, round: 1 })];
    expect(await backlog.park(holding, [recordAt(8), recordAt(9)], again)).toEqual([again[0]]);
    expect((await backlog.take(7, 0)).keys).toMatchObject([{ subscription: 'sub_a', key: 'k', rows: 4 }]);
  });

  it('makes rounds of deliveries due at once that wait as heads, and no others', async () => {
    const backlog = open();
    const holding = await backlog.take(7, 0);
    await threeOfOneKey(backlog, holding);
    const [head, follower] = [rowAt(1).delivery, rowAt(2).delivery];
    await backlog.park(holding, [recordAt(4), recordAt(5)], [rowAt(4, { key: 'l', dueAtMs: 2_000 }), rowAt(5, { key: 'm', delivery: head, round: 1, dueAtMs: 3_000 })]);
    await backlog.hastenRounds(holding, [{ delivery: head, round: 1 }, { delivery: follower, round: 0 }, { delivery: 'dlv_none', round: 0 }], 500);
    expect(offsets(await backlog.due(holding, 900, BEFORE_ALL, 10))).toEqual([5]);
    await backlog.hastenRounds(holding, [{ delivery: head, round: 0 }, { delivery: head, round: 1 }], 700);
    expect((await backlog.due(holding, 900, BEFORE_ALL, 10)).map(({ offset, dueAtMs }) => [offset, dueAtMs])).toEqual([[5, 500], [1, 700]]);
    await backlog.advance(holding, [{ subscription: 'sub_a', key: 'k', ended: [rowAt(1)], wants: 'head' }]);
    await backlog.hastenRounds(holding, [{ delivery: head, round: 0 }], 600);
    expect(offsets(await backlog.due(holding, 900, BEFORE_ALL, 10))).toEqual([2, 5]);
  });

  it('gives a head another time, and the attempt that is to be made then', async () => {
    const backlog = open();
    const holding = await backlog.take(7, 0);
    await threeOfOneKey(backlog, holding);
    await backlog.postpone(holding, [{ ...rowAt(1), dueAtMs: 9_000, number: 5, isReserved: false }]);
    expect(await backlog.due(holding, 8_999, BEFORE_ALL, 10)).toEqual([]);
    expect(await backlog.due(holding, 9_000, BEFORE_ALL, 10)).toMatchObject([{ offset: 1, number: 5, isReserved: false }]);
    // What has ended is given none.
    await backlog.advance(holding, [{ subscription: 'sub_a', key: 'k', ended: [rowAt(1)], wants: 'head' }]);
    await backlog.postpone(holding, [{ ...rowAt(1), dueAtMs: 9_000, number: 6, isReserved: false }]);
    expect(offsets(await backlog.due(holding, 9_000, BEFORE_ALL, 10))).toEqual([2]);
  });

  it('has a head that was under way due at once for whoever takes the partition', async () => {
    const backlog = open();
    const holding = await backlog.take(7, 0);
    await backlog.park(holding, [recordAt(1), recordAt(2)], [rowAt(1, { dueAtMs: AT_ONCE }), rowAt(2)]);
    const next = await backlog.take(7, 0);
    expect(offsets(await backlog.due(next, 1, BEFORE_ALL, 10))).toEqual([1]);
    await backlog.advance(next, [{ subscription: 'sub_a', key: 'k', ended: [rowAt(1)], wants: 'head' }]);
    expect(offsets(await backlog.due(next, 1, BEFORE_ALL, 10))).toEqual([2]);
    // But not for who knows what is under way.
    expect(await backlog.due(next, 1, { dueAtMs: 0, offset: 1e15, index: 0 }, 10)).toEqual([]);
  });

  it('is read page by page', async () => {
    const backlog = open();
    const holding = await backlog.take(7, 0);
    const numbers = [5, 3, 1, 4, 2];
    await backlog.park(holding, numbers.map((n) => recordAt(n)), numbers.map((n) => rowAt(n, { key: `k${n}`, dueAtMs: 1_000 + Math.floor(n / 3) })));
    const read: number[] = [];
    let page = await backlog.due(holding, 2_000, BEFORE_ALL, 2);
    for (let last = page.at(-1); last !== undefined; last = page.at(-1)) {
      read.push(...offsets(page));
      page = await backlog.due(holding, 2_000, last, 2);
    }
    expect(read).toEqual([1, 2, 3, 4, 5]);
  });

  it('is read to its end also where it is of large records', async () => {
    const backlog = open();
    const holding = await backlog.take(7, 0);
    const numbers = Array.from({ length: 12 }, (_, n) => n + 1);
    for (const n of numbers) await backlog.park(holding, [recordAt(n, 'x'.repeat(900_000))], [rowAt(n, { key: `k${n}`, dueAtMs: 1_000 })]);
    const read: number[] = [];
    let page = await backlog.due(holding, 2_000, BEFORE_ALL, 64);
    // What stands for it in simulations knows no bytes.
    expect(page).toHaveLength(backlog instanceof PgBacklog ? 4 : 12);
    for (let last = page.at(-1); last !== undefined; last = page.at(-1)) {
      read.push(...offsets(page));
      page = await backlog.due(holding, 2_000, last, 64);
    }
    expect(read).toEqual(numbers);
  });

  it('refuses whoever held the partition before, in every statement, and nobody else', async () => {
    const [former, latter] = [open(), open()];
    // In memory they share what they have only if they are one.
    const other = former instanceof MemoryBacklog ? former : latter;
    const old = await former.take(7, 0);
    const elsewhere = await former.take(8, 0);
    await threeOfOneKey(former, old);
    const holding = await other.take(7, 0);
    const statements = [
      () => former.park(old, [recordAt(4)], [rowAt(4)]),
      () => former.postpone(old, [{ ...rowAt(1), dueAtMs: 9_000, number: 9, isReserved: false }]),
      () => former.advance(old, [{ subscription: 'sub_a', key: 'k', ended: [rowAt(1)], wants: 'head' }]),
      () => former.due(old, 5_000, BEFORE_ALL, 10),
      () => former.nextDueMs(old, BEFORE_ALL),
      () => former.hasten(old, 'sub_a', 5),
      () => former.forget(old, 10),
    ];
    for (const statement of statements) await expect(statement()).rejects.toThrow(HoldingLost);
    expect(await other.due(holding, 1_000, BEFORE_ALL, 10)).toMatchObject([{ offset: 1, number: 2, dueAtMs: 1_000 }]);
    await former.park(elsewhere, [recordAt(4)], [rowAt(4)]);
  });

  it('makes the heads of one subscription due, not what is behind them', async () => {
    const backlog = open();
    const holding = await backlog.take(7, 0);
    await threeOfOneKey(backlog, holding);
    await backlog.park(holding, [recordAt(4)], [rowAt(4, { subscription: 'sub_b', dueAtMs: 9_000 })]);
    await backlog.hasten(holding, 'sub_a', 10);
    expect(offsets(await backlog.due(holding, 10, BEFORE_ALL, 10))).toEqual([1]);
  });

  it('knows what has ended until its record will not be read again', async () => {
    const backlog = open();
    const holding = await backlog.take(7, 0);
    await threeOfOneKey(backlog, holding);
    await backlog.park(holding, [recordAt(4), recordAt(5)], [rowAt(4, { key: 'l', isEnded: true }), rowAt(5, { key: 'l', dueAtMs: 1 })]);
    await backlog.advance(holding, [{ subscription: 'sub_a', key: 'k', ended: [rowAt(1), rowAt(2)], wants: 'head' }]);
    expect(await backlog.forget(holding, 2)).toBe(2);
    const taken = await backlog.take(7, 2);
    expect(taken.keys.toSorted((a, b) => (a.key < b.key ? -1 : 1))).toEqual([
      { subscription: 'sub_a', key: 'k', rows: 1, head: { delivery: rowAt(3).delivery, round: 0 } },
      { subscription: 'sub_a', key: 'l', rows: 1, head: { delivery: rowAt(5).delivery, round: 0 } },
    ]);
    expect(taken.known).toEqual(new Set([2, 3, 4, 5].map((n) => placeKey(rowAt(n)))));
    expect(taken.position).toBe(105);
    expect((await backlog.take(7, 100)).known).toEqual(new Set());
  });
});

const counts = async (): Promise<unknown> => {
  const [row] = await database.query(`select (select count(*)::int from ${SCHEMA}.records) as records, (select count(*)::int from ${SCHEMA}.backlog) as rows`);
  return row;
};

/** Of 8 KiB, touched in our tables and their indexes until now by connections that have been closed. */
const blocks = async (): Promise<number> => {
  const [row] = await database.query<{ blocks: string }>(
    `select sum(heap_blks_hit + heap_blks_read + idx_blks_hit + idx_blks_read) as blocks from pg_statio_user_tables where schemaname = '${SCHEMA}'`,
  );
  return Number(row?.blocks);
};

const isConnected = async (): Promise<boolean> => {
  const rows = await database.query(`select from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid() and backend_type = 'client backend'`);
  return rows.length > 0;
};

/** What a statement touches, on a connection of its own: counts come out when it ends. */
const blocksOf = async (run: (backlog: PgBacklog) => Promise<unknown>, backlog = new PgBacklog(database.url)): Promise<number> => {
  const before = await blocks();
  await run(backlog);
  await backlog.close();
  while (await isConnected());
  return (await blocks()) - before;
};

describe('the tables', () => {
  it('hold a record once, however many of its deliveries wait, and as long as one of them does', async () => {
    const backlog = connect();
    const holding = await backlog.take(7, 0);
    const fanOut = Array.from({ length: 100 }, (_, index) => rowAt(1, { index, subscription: `sub_${index}`, delivery: `dlv_${index}`, dueAtMs: 1_000 }));
    await backlog.park(holding, [recordAt(1)], fanOut.slice(0, 60));
    await backlog.park(holding, [recordAt(1)], fanOut.slice(60));
    expect(await counts()).toEqual({ records: 1, rows: 100 });
    for (const row of fanOut.slice(1)) await backlog.advance(holding, [{ subscription: row.subscription, key: 'k', ended: [row], wants: 'head' }]);
    await backlog.forget(holding, 2);
    expect(await counts()).toEqual({ records: 1, rows: 1 });
    await backlog.advance(holding, [{ subscription: 'sub_0', key: 'k', ended: [rowAt(1)], wants: 'head' }]);
    await backlog.forget(holding, 2);
    expect(await counts()).toEqual({ records: 0, rows: 0 });
  });

  it('keep no record of which nothing waits in the end', async () => {
    const backlog = connect();
    const holding = await backlog.take(7, 0);
    await threeOfOneKey(backlog, holding);
    await backlog.park(holding, [recordAt(8)], [rowAt(8, { delivery: rowAt(2).delivery })]);
    expect(await counts()).toEqual({ records: 3, rows: 3 });
  });

  it('hold keys and values of any bytes', async () => {
    const backlog = connect();
    const holding = await backlog.take(7, 0);
    const key = '\\,{}"\' \u{1F511}\n';
    const value = Buffer.from(Array.from({ length: 256 }, (_, byte) => byte));
    await backlog.park(holding, [{ ...recordAt(1), value }], [rowAt(1, { key, dueAtMs: 1 })]);
    expect(await backlog.due(holding, 1, BEFORE_ALL, 1)).toMatchObject([{ key, value }]);
  });

  it('let nobody take a partition in the midst of a statement of its holder, whose rows the next one then sees', async () => {
    const backlog = connect();
    const holding = await backlog.take(7, 0);
    // A statement of the holder that has not been committed.
    await database.query('begin');
    await database.query(`select ${SCHEMA}.hold(7, $1)`, [holding.epoch]);
    const taking = connect().take(7, 0);
    const isWaiting = async (): Promise<boolean> => {
      const [row] = await database.query(`select count(*)::int as count from pg_locks where not granted`);
      return row?.['count'] > 0;
    };
    while (!(await isWaiting()));
    await database.query(`insert into ${SCHEMA}.records values ($1, 7, 1, 1, 'x')`, [uuid('r1')]);
    await database.query(`insert into ${SCHEMA}.backlog values ($1, 0, 7, 1, 'sub_a', 'k', 'dlv', 0, 1, false, 5, false)`, [uuid('r1')]);
    await database.query('commit');
    expect((await taking).keys).toMatchObject([{ subscription: 'sub_a', key: 'k', rows: 1 }]);
  });
});

/** Long, so that the index that has them is deeper than the others, which a planner that expects one row would like better for that. */
const longKey = (n: number): string => `k${n}`.padEnd(200, '.');

const fill = async (): Promise<void> => {
  await database.query(
    `insert into ${SCHEMA}.records select md5('r' || n)::uuid, 7, n, 1, convert_to(repeat('x', 200), 'utf8') from generate_series(1, 100000) n`,
  );
  // A thousand keys: each has a head that waits, and 99 behind it.
  await database.query(
    `insert into ${SCHEMA}.backlog
       select md5('r' || n)::uuid, 0, 7, n, 'sub_a', rpad('k' || n % 1000, 200, '.'), 'dlv' || n, 0, 1, false, case when n <= 1000 then 1000000 + n end, false
       from generate_series(1, 100000) n`,
  );
};

describe('a holder', () => {
  it('that is frozen as what is due comes keeps nobody from its partition', async () => {
    const url = new URL(database.url);
    const way = new Way({ host: url.hostname, port: Number(url.port) });
    url.host = `127.0.0.1:${await way.open()}`;
    const frozen = new PgBacklog(url.href, { unreadTimeoutMs: 1_000 });
    const holding = await frozen.take(7, 0);
    const keys = [1, 2, 3, 4];
    for (const n of keys) await frozen.park(holding, [recordAt(n, 'x'.repeat(1_000_000))], [rowAt(n, { key: `k${n}`, dueAtMs: 1_000 })]);
    const gate = new Client({ connectionString: database.url });
    await gate.connect();
    await gate.query(`begin; select from ${SCHEMA}.owners for update`);
    // It is not frozen enough to miss its own timeout of five seconds, which would set the partition free as well.
    const unread = frozen.due(holding, 1_000, BEFORE_ALL, 10).catch(() => 'given up');
    const isIn = async (waits: string): Promise<boolean> =>
      (await database.query(`select from pg_stat_activity where datname = current_database() and application_name like '%ordering' and wait_event_type = $1`, [waits])).length > 0;
    await eventually(() => isIn('Lock'));
    way.stop();
    await gate.query('commit');
    await gate.end();
    const heir = connect();
    expect(await Promise.race([heir.take(7, 0), unread])).toMatchObject({ epoch: 2, keys: keys.map((n) => ({ key: `k${n}` })) });
    await way.cut();
    expect(await unread).toBe('given up');
    await frozen.close();
  }, 30_000);
});

describe.each(['drained', 'full'])('a hundred thousand rows in tables that were last analyzed %s', (state) => {
  const tables = [`${SCHEMA}.backlog`, `${SCHEMA}.records`];

  // As autovacuum would, but not in the midst of it.
  beforeAll(async () => {
    for (const table of tables) await database.query(`alter table ${table} set (autovacuum_enabled = false)`);
  });

  /** Of a table that has pages, and had no row in them, a planner expects none until it is analyzed again. */
  const fillAnalyzed = async (): Promise<void> => {
    await fill();
    if (state === 'drained') for (const table of tables) await database.query(`delete from ${table}`);
    await database.query(`vacuum (analyze, truncate off) ${tables.join(', ')}`);
    if (state === 'drained') await fill();
  };

  it('cost no statement more than it touches: every one goes by its index', async () => {
    await fillAnalyzed();
    await database.query(`select pg_stat_force_next_flush()`);
    let holding: Holdings | undefined;
    const touched = new Map<string, number>();
    touched.set('take', await blocksOf(async (backlog) => (holding = await backlog.take(7, 99_001))));
    if (holding === undefined) throw new Error('nothing has been taken');
    expect(holding.keys).toHaveLength(1_000);
    expect(holding.keys.reduce((sum, { rows }) => sum + rows, 0)).toBe(100_000);
    expect(holding.known.size).toBe(1_000);

    const mine = holding;
    const first = { ...rowAt(1), record: md5('r1') };
    const statements: Readonly<Record<string, (backlog: PgBacklog) => Promise<unknown>>> = {
      park: (backlog) => backlog.park(mine, [recordAt(200_000)], [rowAt(200_000, { key: longKey(1) })]),
      'park again': (backlog) => backlog.park(mine, [recordAt(200_001)], [rowAt(200_001, { delivery: rowAt(200_000).delivery })]),
      postpone: (backlog) => backlog.postpone(mine, [{ ...first, dueAtMs: 3_000_000, number: 2, isReserved: false }]),
      advance: (backlog) => backlog.advance(mine, [{ subscription: 'sub_a', key: longKey(1), ended: [first], wants: 'head' }]),
      due: (backlog) => backlog.due(mine, 2_000_000, { dueAtMs: 1_000_500, offset: 500, index: 0 }, 10),
      nextDueMs: (backlog) => backlog.nextDueMs(mine, { dueAtMs: 1_000_500, offset: 500, index: 0 }),
      hasten: (backlog) => backlog.hasten(mine, 'sub_b', 2_000_000),
      hastenRounds: (backlog) => backlog.hastenRounds(mine, [{ delivery: 'dlv700', round: 0 }, { delivery: 'dlv70000', round: 0 }], 500_000),
      forget: (backlog) => backlog.forget(mine, 100_001),
    };
    for (const [name, statement] of Object.entries(statements)) touched.set(name, await blocksOf(statement));
    // The tables have thousands of blocks; who takes them looks at every row.
    expect([...touched].filter(([name, count]) => count === 0 || count > (name === 'take' ? 300_000 : 150))).toEqual([]);
  }, 60_000);

  it('cost no more over a connection from when there was next to nothing', async () => {
    const backlog = connect();
    const holding = await backlog.take(7, 0);
    await threeOfOneKey(backlog, holding);
    // So often that its plans are kept.
    const nothing = { subscription: 'sub_a', key: 'l', wants: 'head', ended: [rowAt(8)] } as const;
    for (let times = 0; times < 10; times++) await backlog.advance(holding, [nothing]);
    await fillAnalyzed();
    const advance = (): Promise<unknown> => backlog.advance(holding, [{ subscription: 'sub_a', key: longKey(1), ended: [{ ...rowAt(1), record: md5('r1') }], wants: 'head' }]);
    expect(await blocksOf(advance, backlog)).toBeLessThan(1_000);
  }, 60_000);
});
