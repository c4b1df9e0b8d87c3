import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { EventStore, type Append, type NewEvent, type Project } from '../src/index.js';
import { createDatabase, type TestDatabase } from './database.js';

const at = '2026-01-02T03:04:05.678Z';
const event = (type: string, data: object = {}): NewEvent => ({ type, data, at });
const append = (stream: string, expectedVersion: number, ...events: NewEvent[]): Append => ({
  stream,
  expectedVersion,
  events,
  actor: 'tester',
});
const nothing = () => Promise.resolve();

const noteSeen: Project = async (client, [first]) => {
  await client.query('insert into store.seen values ($1, $2)', [first?.stream, first?.position]);
};
const noteSeenAndFail: Project = async (client, events) => {
  await noteSeen(client, events);
  throw new Error('projection failed');
};

let database: TestDatabase;
let store: EventStore;

beforeAll(async () => {
  database = await createDatabase();
  store = new EventStore(database.pool, 'store');
});
afterAll(() => database.drop());

/** Resolves when somebody waits for an advisory lock. */
const somebodyWaits = async (): Promise<void> => {
  for (;;) {
    const { rows } = await database.pool.query(
      `select 1 from pg_locks where locktype = 'advisory' and not granted
       and database = (select oid from pg_database where datname = current_database())`,
    );
    if (rows.length > 0) return;
  }
};

describe('append and read', () => {
  it('gives back what was stored, in order, as a stream and among all', async () => {
    const result = await store.append(append('a', 0, event('Born', { name: 'O\'Hara "x" {\\}' }), event('Grown')), nothing);
    await store.append(append('b', 0, event('Born')), nothing);
    await store.append(append('a', 2, event('Gone')), nothing);

    const a = await store.read('a');
    expect(a.map(({ version, type }) => [version, type])).toEqual([[1, 'Born'], [2, 'Grown'], [3, 'Gone']]);
    expect(a[0]).toEqual({
      position: expect.any(Number),
      stream: 'a',
      version: 1,
      type: 'Born',
      data: { name: 'O\'Hara "x" {\\}' },
      actor: 'tester',
      at,
    });
    expect(result).toEqual({ kind: 'appended', events: a.slice(0, 2) });
    await expect(store.read('a', 3)).resolves.toEqual(a.slice(2));

    const all = await store.readAll(0, 10);
    expect(all.map(({ stream, version }) => `${stream}${version}`)).toEqual(['a1', 'a2', 'b1', 'a3']);
    await expect(store.readAll(all[1]?.position ?? 0, 1)).resolves.toEqual(all.slice(2, 3));
  });

  it('refuses another version than the expected one, says the actual one, and writes nothing', async () => {
    await store.append(append('c', 0, event('Born'), event('Grown')), nothing);
    for (const expected of [0, 1, 3]) {
      await expect(store.append(append('c', expected, event('Wrong')), nothing)).resolves.toEqual({
        kind: 'version_mismatch',
        actual: 2,
      });
    }
    await expect(store.read('c')).resolves.toHaveLength(2);
  });

  it('of writers with the same expectation lets exactly one through', async () => {
    const results = await Promise.all(
      Array.from({ length: 8 }, (_, writer) => store.append(append('race', 0, event(`Writer${writer}`)), nothing)),
    );
    expect(results.filter(({ kind }) => kind === 'appended')).toHaveLength(1);
    await expect(store.read('race')).resolves.toHaveLength(1);
  });

  it('commits the projection with the events, or neither', async () => {
    await database.pool.query('create table store.seen (stream text, position bigint)');
    await store.append(append('d', 0, event('Born')), noteSeen);
    await expect(store.append(append('e', 0, event('Born')), noteSeenAndFail)).rejects.toThrow('projection failed');

    const { rows } = await database.pool.query('select stream from store.seen');
    expect(rows).toEqual([{ stream: 'd' }]);
    await expect(store.read('e')).resolves.toEqual([]);
  });
});

describe('a reader of what lies after a position', () => {
  it('never sees a gap that is filled later: the append that began first becomes visible first', async () => {
    const start = (await store.readAll(0, 1_000)).at(-1)?.position ?? 0;
    let goOn: (() => void) | undefined;
    let begun: (() => void) | undefined;
    const firstHasBegun = new Promise<void>((resolve) => (begun = resolve));
    const first = store.append(append('slow', 0, event('First')), () => {
      begun?.();
      return new Promise((resolve) => (goOn = resolve));
    });
    await firstHasBegun;

    const second = store.append(append('fast', 0, event('Second')), nothing);
    await somebodyWaits();
    await expect(store.readAll(start, 10)).resolves.toEqual([]);

    goOn?.();
    await Promise.all([first, second]);
    const seen = await store.readAll(start, 10);
    expect(seen.map(({ type }) => type)).toEqual(['First', 'Second']);
  });

  it('may see a number left out, which then stays out', async () => {
    const before = (await store.readAll(0, 1_000)).at(-1)?.position ?? 0;
    await expect(store.append(append('f', 0, event('Lost')), () => Promise.reject(new Error('no')))).rejects.toThrow('no');
    await store.append(append('g', 0, event('Kept')), nothing);
    const [kept, ...rest] = await store.readAll(before, 10);
    expect(kept).toMatchObject({ type: 'Kept', position: before + 2 });
    expect(rest).toEqual([]);
  });
});

it('does without a writer whose connection dies while it appends', async () => {
  const doomed = store.append(append('h', 0, event('Born')), async (client) => {
    const { rows } = await client.query<{ pid: number }>('select pg_backend_pid() as pid');
    await database.pool.query('select pg_terminate_backend($1)', [rows[0]?.pid]);
    await client.query('select 1');
  });
  await expect(doomed).rejects.toThrow(/terminat|not queryable/);
  await expect(store.append(append('h', 0, event('Born')), nothing)).resolves.toMatchObject({ kind: 'appended' });
});
