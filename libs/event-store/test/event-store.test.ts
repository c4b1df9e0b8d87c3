import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { EventStore, type NewEvent, type Project, type RecordedEvent, type StreamAppend } from '../src/index.js';
import { createDatabase, type TestDatabase } from './database.js';

const at = '2026-01-02T03:04:05.678Z';
const event = (type: string, data: object = {}): NewEvent => ({ type, data, at });
const to = (stream: string, expectedVersion: number, ...events: NewEvent[]): StreamAppend => ({ stream, expectedVersion, events });
const tester = { actor: 'tester' };
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
    const result = await store.append([to('a', 0, event('Born', { name: 'O\'Hara "x" {\\}' }), event('Grown'))], tester, nothing);
    await store.append([to('b', 0, event('Born'))], tester, nothing);
    await store.append([to('a', 2, event('Gone'))], tester, nothing);

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
    await expect(store.read('a', 2, 1)).resolves.toEqual(a.slice(1, 2));

    const all = await store.readAll(0, 10);
    expect(all.map(({ stream, version }) => `${stream}${version}`)).toEqual(['a1', 'a2', 'b1', 'a3']);
    await expect(store.readAll(all[1]?.position ?? 0, 1)).resolves.toEqual(all.slice(2, 3));
  });

  it('refuses another version than the expected one, says the actual one, and writes nothing', async () => {
    await store.append([to('c', 0, event('Born'), event('Grown'))], tester, nothing);
    for (const expected of [0, 1, 3]) {
      await expect(store.append([to('c', expected, event('Wrong'))], tester, nothing)).resolves.toEqual({
        kind: 'version_mismatch',
        stream: 'c',
        actual: 2,
      });
    }
    await expect(store.read('c')).resolves.toHaveLength(2);
  });

  it('of writers with the same expectation lets exactly one through', async () => {
    const results = await Promise.all(
      Array.from({ length: 8 }, (_, writer) => store.append([to('race', 0, event(`Writer${writer}`))], tester, nothing)),
    );
    expect(results.filter(({ kind }) => kind === 'appended')).toHaveLength(1);
    await expect(store.read('race')).resolves.toHaveLength(1);
  });

  it('commits the projection with the events, or neither', async () => {
    await database.pool.query('create table store.seen (stream text, position bigint)');
    await store.append([to('d', 0, event('Born'))], tester, noteSeen);
    await expect(store.append([to('e', 0, event('Born'))], tester, noteSeenAndFail)).rejects.toThrow('projection failed');

    const { rows } = await database.pool.query('select stream from store.seen');
    expect(rows).toEqual([{ stream: 'd' }]);
    await expect(store.read('e')).resolves.toEqual([]);
  });
});

const expectUntouched = async (stream: string): Promise<void> => {
  await expect(store.read(stream)).resolves.toEqual([]);
};

describe('an append to several streams', () => {
  it('gives each its versions, and positions in the order of the appends', async () => {
    await store.append([to('m2', 0, event('Born'))], tester, nothing);
    const appends = [to('m3', 0, event('Born'), event('Grown')), to('m1', 0, event('Born')), to('m2', 1, event('Grown'))];
    const result = await store.append(appends, { actor: 'tester', cause: 'request 7' }, nothing);
    const events = result.kind === 'appended' ? result.events : [];
    expect(events.map(({ stream, version, cause }) => [stream, version, cause])).toEqual([
      ['m3', 1, 'request 7'],
      ['m3', 2, 'request 7'],
      ['m1', 1, 'request 7'],
      ['m2', 2, 'request 7'],
    ]);
    const positions = events.map(({ position }) => position);
    expect(positions).toEqual(positions.toSorted((a, b) => a - b));

    const histories = await store.readMany(['m2', 'm0', 'm3']);
    expect([...histories].map(([stream, history]) => [stream, history.map(({ type, cause }) => [type, cause])])).toEqual([
      ['m2', [['Born', undefined], ['Grown', 'request 7']]],
      ['m0', []],
      ['m3', [['Born', 'request 7'], ['Grown', 'request 7']]],
    ]);
    expect(histories.get('m2')?.[0]).not.toHaveProperty('cause');
  });

  it('writes to none of them when one has moved on, and names the first of those', async () => {
    await store.append([to('n2', 0, event('Born'))], tester, nothing);
    await store.append([to('n3', 0, event('Born'))], tester, nothing);
    const appends = [to('n1', 0, event('Born')), to('n3', 0, event('Wrong')), to('n2', 0, event('Wrong'))];
    await expect(store.append(appends, tester, nothing)).resolves.toEqual({ kind: 'version_mismatch', stream: 'n3', actual: 1 });
    await expectUntouched('n1');
  });

  it('also holds a stream to its version that gets no event', async () => {
    await store.append([to('o2', 0, event('Born'))], tester, nothing);
    await expect(store.append([to('o1', 0, event('Born')), to('o2', 2)], tester, nothing)).resolves.toEqual({
      kind: 'version_mismatch',
      stream: 'o2',
      actual: 1,
    });
    await expectUntouched('o1');
    await expect(store.append([to('o1', 0, event('Born')), to('o2', 1)], tester, nothing)).resolves.toMatchObject({ kind: 'appended' });
    await expect(store.append([to('o1', 1)], tester, nothing)).rejects.toThrow('nothing to append');
  });

  it('takes a thousand at once', async () => {
    const appends = Array.from({ length: 1_000 }, (_, n) => to(`p${n}`, 0, event('Born', { n })));
    const result = await store.append(appends, tester, nothing);
    const numbers = result.kind === 'appended' ? result.events.map(({ data }) => data['n']) : [];
    expect(numbers).toEqual(appends.map((_, n) => n));
  });
});

it('is read stream by stream, in pages, each stream in its order', async () => {
  for (const version of [0, 1, 2]) {
    await store.append(['q1', 'q2', 'q3'].map((stream) => to(stream, version, event('Changed'))), tester, nothing);
  }
  const met: RecordedEvent[] = [];
  for (let page = await store.readByStream({ stream: 'q', version: 0 }, 2); page.length > 0; ) {
    met.push(...page);
    page = await store.readByStream(page.at(-1) ?? { stream: '', version: 0 }, 2);
  }
  const places = met.filter(({ stream }) => stream.startsWith('q')).map(({ stream, version }) => `${stream}.${version}`);
  expect(places).toEqual(['q1.1', 'q1.2', 'q1.3', 'q2.1', 'q2.2', 'q2.3', 'q3.1', 'q3.2', 'q3.3']);

  const last = await store.lastPosition();
  await store.append([to('q2', 3, event('Changed'), event('Changed'))], tester, nothing);
  await expect(store.streamsAfter(last)).resolves.toEqual(['q2']);
});

it('lets nobody append while somebody works between appends', async () => {
  let waiting: Promise<unknown> = Promise.resolve();
  const seen = await store.betweenAppends(async (client) => {
    waiting = store.append([to('r', 0, event('Born'))], tester, nothing);
    await somebodyWaits();
    return store.readMany(['r'], client);
  });
  expect(seen.get('r')).toEqual([]);
  await waiting;
  await expect(store.read('r')).resolves.toHaveLength(1);
});

describe('a reader of what lies after a position', () => {
  it('never sees a gap that is filled later: the append that began first becomes visible first', async () => {
    const start = await store.lastPosition();
    let goOn: (() => void) | undefined;
    let begun: (() => void) | undefined;
    const firstHasBegun = new Promise<void>((resolve) => (begun = resolve));
    const first = store.append([to('slow', 0, event('First'))], tester, () => {
      begun?.();
      return new Promise((resolve) => (goOn = resolve));
    });
    await firstHasBegun;

    const second = store.append([to('fast', 0, event('Second'))], tester, nothing);
    await somebodyWaits();
    await expect(store.readAll(start, 10)).resolves.toEqual([]);

    goOn?.();
    await Promise.all([first, second]);
    const seen = await store.readAll(start, 10);
    expect(seen.map(({ type }) => type)).toEqual(['First', 'Second']);
  });

  it('may see a number left out, which then stays out', async () => {
    const before = await store.lastPosition();
    await expect(store.append([to('f', 0, event('Lost'))], tester, () => Promise.reject(new Error('no')))).rejects.toThrow('no');
    await store.append([to('g', 0, event('Kept'))], tester, nothing);
    const [kept, ...rest] = await store.readAll(before, 10);
    expect(kept).toMatchObject({ type: 'Kept', position: before + 2 });
    expect(rest).toEqual([]);
  });
});

it('does without a writer whose connection dies while it appends', async () => {
  const doomed = store.append([to('h', 0, event('Born'))], tester, async (client) => {
    const { rows } = await client.query<{ pid: number }>('select pg_backend_pid() as pid');
    await database.pool.query('select pg_terminate_backend($1)', [rows[0]?.pid]);
    await client.query('select 1');
  });
  await expect(doomed).rejects.toThrow(/terminat|not queryable/);
  await expect(store.append([to('h', 0, event('Born'))], tester, nothing)).resolves.toMatchObject({ kind: 'appended' });
});
