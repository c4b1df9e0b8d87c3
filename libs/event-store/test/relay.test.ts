import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { Way } from '@posthorn/testkit';
import { EventStore, Relay, RelayCheckpoint, type RecordedEvent, type RelayOptions } from '../src/index.js';
import { createDatabase, type TestDatabase } from './database.js';

const log = { info: () => undefined, warn: () => undefined };

let database: TestDatabase;
let store: EventStore;
let relays: Relay[];
let version: number;
let relayName: string;
let runs = 0;

beforeAll(async () => {
  database = await createDatabase();
  store = new EventStore(database.pool, 'store');
});
afterAll(() => database.drop());

beforeEach(async () => {
  relays = [];
  version = 0;
  relayName = `relay_${++runs}`;
  await database.pool.query('truncate store.events');
});
afterEach(async () => {
  await Promise.all(relays.map((relay) => relay.close()));
});

/** Appends the next event to the one stream; its type is its version. */
const append = async (): Promise<number> => {
  const at = new Date().toISOString();
  const events = [{ type: String(version + 1), data: {}, at }];
  const result = await store.append([{ stream: 's', expectedVersion: version++, events }], { actor: 'tester' }, () => Promise.resolve());
  if (result.kind !== 'appended') throw new Error('not appended');
  return result.events[0]?.position ?? 0;
};

/** Appends the first event of a stream; its type is the stream's name. */
const begin = (stream: string, project: () => Promise<void>) => {
  const events = [{ type: stream, data: {}, at: new Date().toISOString() }];
  return store.append([{ stream, expectedVersion: 0, events }], { actor: 'tester' }, project);
};

const start = (publish: RelayOptions['publish'], options: Partial<RelayOptions> = {}): Relay => {
  const relay = new Relay({
    name: relayName,
    connectionString: database.url,
    schema: 'store',
    publish,
    log,
    pollMs: 50,
    drainMs: 500,
    ...options,
  });
  relays.push(relay);
  return relay;
};

const into = (published: string[]) => async (batch: readonly RecordedEvent[]): Promise<void> => {
  published.push(...batch.map(({ type }) => type));
};

const until = async (condition: () => boolean | Promise<boolean>): Promise<void> => {
  while (!(await condition())) await new Promise((resolve) => void setTimeout(resolve, 5));
};

const killSession = (): Promise<unknown> =>
  database.pool.query('select pg_terminate_backend(pid) from pg_stat_activity where application_name = $1', [`relay ${relayName}`]);

/** The relays' sessions, and for how long each has said something. */
const sessions = async (): Promise<readonly { readonly pid: number; readonly spoken_for_ms: number }[]> => {
  const { rows } = await database.pool.query<{ pid: number; spoken_for_ms: number }>(
    `select pid, extract(epoch from state_change - backend_start)::float * 1000 as spoken_for_ms from pg_stat_activity where application_name = $1 order by backend_start`,
    [`relay ${relayName}`],
  );
  return rows;
};

/** How many appends wait for another one's commit. */
const waitingForTheirTurn = async (): Promise<number> => {
  const { rows } = await database.pool.query<{ count: string }>(
    `select count(*) from pg_locks where locktype = 'advisory' and not granted
     and database = (select oid from pg_database where datname = current_database())`,
  );
  return Number(rows[0]?.count);
};

/** Resolves when the relay has had this many turns of its connection since. */
const looksAt = async (relay: Relay, times: number): Promise<void> => {
  for (let turn = 0; turn < times; turn++) await relay.behindMs();
};

/** Between the first two of these times. */
const gapMs = ([first = 0, second = 0]: readonly number[]): number => second - first;

describe('one relay', () => {
  it('publishes in order, in batches, what was there and what comes', async () => {
    for (let i = 0; i < 5; i++) await append();
    const sizes: number[] = [];
    const published: string[] = [];
    const relay = start(
      async (batch) => {
        sizes.push(batch.length);
        await into(published)(batch);
      },
      { batchSize: 2 },
    );
    await until(() => published.length === 5);
    const last = await append();
    await expect(relay.waitUntilRelayed(last, 5_000)).resolves.toBe(true);
    expect(published).toEqual(['1', '2', '3', '4', '5', '6']);
    expect(sizes).toEqual([2, 2, 1, 1]);
    await expect(relay.behindMs()).resolves.toBe(0);
  });

  it('is woken by an append, not by its poll', async () => {
    const relay = start(() => Promise.resolve(), { pollMs: 60_000 });
    await until(() => relay.role === 'leader');
    await expect(relay.waitUntilRelayed(await append(), 5_000)).resolves.toBe(true);
  });

  it('skips nothing of two writers of whom the one that drew its number first commits last', async () => {
    const published: string[] = [];
    const relay = start(into(published), { pollMs: 10 });
    await relay.waitUntilRelayed(await append(), 5_000);
    let drawn: (() => void) | undefined;
    let commit: (() => void) | undefined;
    const firstHasDrawn = new Promise<void>((resolve) => (drawn = resolve));
    const mayCommit = new Promise<void>((resolve) => (commit = resolve));
    const first = begin(`first of ${relayName}`, () => {
      drawn?.();
      return mayCommit;
    });
    await firstHasDrawn;
    let secondIsIn = false;
    const second = begin(`second of ${relayName}`, () => Promise.resolve()).then(() => (secondIsIn = true));
    // The relay looks again and again meanwhile; would the second get past the first, it would be published now and the first never.
    await until(async () => (await waitingForTheirTurn()) === 1);
    await looksAt(relay, 3);
    expect([published, secondIsIn]).toEqual([['1'], false]);

    commit?.();
    await Promise.all([first, second]);
    await until(() => published.length === 3);
    expect(published).toEqual(['1', `first of ${relayName}`, `second of ${relayName}`]);
  });

  it('tells who waits in vain', async () => {
    const relay = start(() => Promise.resolve());
    await expect(relay.waitUntilRelayed(1_000_000, 20)).resolves.toBe(false);
  });

  it('publishes again what could not be published, and says how far behind it is', async () => {
    const published: string[] = [];
    let away = true;
    const relay = start((batch) => (away ? Promise.reject(new Error('away')) : into(published)(batch)));
    const position = await append();
    await until(() => relay.role === 'leader');
    await expect(relay.waitUntilRelayed(position, 100)).resolves.toBe(false);
    await expect(relay.behindMs()).resolves.toBeGreaterThan(50);
    away = false;
    await expect(relay.waitUntilRelayed(position, 5_000)).resolves.toBe(true);
    expect(published).toEqual(['1']);
  });

  describe('does not publish the same again and again while something is wrong', () => {
    const pollMs = 400;

    it('with Kafka, although appends ring all the time', async () => {
      const times: number[] = [];
      start(() => (times.push(performance.now()), Promise.reject(new Error('away'))), { pollMs });
      await append();
      await until(async () => times.length > 0 && (await append()) > 0 && times.length > 1);
      expect(gapMs(times)).toBeGreaterThan(0.9 * pollMs);
    });

    it('with the checkpoint, although the end of the session rings too', async () => {
      await database.pool.query(`
        create function store.refuse() returns trigger language plpgsql as $$ begin raise 'refused'; end $$;
        create trigger refuse before update on store.relay_checkpoint for each row when (new.position > 0) execute function store.refuse()`);
      try {
        const times: number[] = [];
        start(async () => void times.push(performance.now()), { pollMs });
        await append();
        await until(() => times.length > 1);
        expect(gapMs(times)).toBeGreaterThan(0.9 * pollMs);
      } finally {
        await database.pool.query('drop function store.refuse cascade');
      }
    });
  });

  it('goes on after PostgreSQL was away', async () => {
    const published: string[] = [];
    const relay = start(into(published));
    await relay.waitUntilRelayed(await append(), 5_000);
    // The waiting are released before the checkpoint has moved; killed in between, the relay would rightly repeat itself.
    await until(async () => (await relay.behindMs()) === 0);
    await killSession();
    await expect(relay.waitUntilRelayed(await append(), 5_000)).resolves.toBe(true);
    expect(published).toEqual(['1', '2']);
  });

  it('resumes at the checkpoint, and repeats what a crash left between publishing and the checkpoint', async () => {
    const published: string[] = [];
    const first = start(into(published));
    await first.waitUntilRelayed(await append(), 5_000);
    // The publication goes through, and the process is gone before it hears so.
    let reached = false;
    await first.close();
    const crashing = start(
      async (batch) => {
        await into(published)(batch);
        reached = true;
        await new Promise(() => undefined);
      },
      { drainMs: 0 },
    );
    await append();
    await until(() => reached);
    await crashing.close();

    const next = start(into(published));
    await expect(next.waitUntilRelayed(await append(), 5_000)).resolves.toBe(true);
    expect(published).toEqual(['1', '2', '2', '3']);
  });
});

describe('a checkpoint that is set back', () => {
  it('has the leader publish everything again, and what was under way does not undo that', async () => {
    const checkpoint = new RelayCheckpoint(database.pool, 'store', relayName);
    await expect(checkpoint.read()).resolves.toEqual({ position: 0, isLed: false });
    const published: string[] = [];
    let held: (() => void) | undefined;
    const relay = start(async (batch) => {
      if (published.length === 2) await new Promise<void>((resolve) => (held = resolve));
      await into(published)(batch);
    });
    await append();
    await relay.waitUntilRelayed(await append(), 5_000);
    const last = await append();
    await until(() => held !== undefined);
    await checkpoint.setBack();
    await expect(checkpoint.read()).resolves.toEqual({ position: 0, isLed: true });
    held?.();
    await until(async () => (await checkpoint.read()).position === last);
    expect(published.slice(2)).toEqual(['3', '1', '2', '3']);

    await relay.close();
    await expect(checkpoint.read()).resolves.toEqual({ position: last, isLed: false });
  });

  it('begins at the beginning also where no relay ever was', async () => {
    const last = await append();
    const checkpoint = new RelayCheckpoint(database.pool, 'store', relayName);
    await checkpoint.setBack();
    start(() => Promise.resolve());
    await until(async () => (await checkpoint.read()).position === last);
    await expect(checkpoint.read()).resolves.toEqual({ position: last, isLed: true });
  });
});

describe('several relays', () => {
  it('have one leader, and the waiting writers of all of them are released', async () => {
    const published: string[] = [];
    const a = start(into(published));
    await until(() => a.role === 'leader');
    const b = start(into(published));
    await until(() => b.role === 'follower');
    const position = await append();
    await expect(b.waitUntilRelayed(position, 5_000)).resolves.toBe(true);
    await expect(a.waitUntilRelayed(position, 5_000)).resolves.toBe(true);
    expect(published).toEqual(['1']);
    expect([a.role, b.role]).toEqual(['leader', 'follower']);
  });

  it('hand over when the leader is gone', async () => {
    const published: string[] = [];
    const a = start(into(published));
    await a.waitUntilRelayed(await append(), 5_000);
    const b = start(into(published));
    await until(() => b.role === 'follower');
    await a.close();
    await expect(b.waitUntilRelayed(await append(), 5_000)).resolves.toBe(true);
    expect(b.role).toBe('leader');
    expect(published).toEqual(['1', '2']);
  });

  it('hand over when the leader is frozen, although its connection stays', async () => {
    const { hostname, port } = new URL(database.url);
    const way = new Way({ host: hostname, port: Number(port) });
    const connectionString = Object.assign(new URL(database.url), { host: `127.0.0.1:${await way.open()}` }).href;
    const published: string[] = [];
    const a = start(into(published), { connectionString, silenceMs: 500 });
    await a.waitUntilRelayed(await append(), 5_000);
    const b = start(into(published));
    await until(() => b.role === 'follower');
    way.stop();
    await expect(b.waitUntilRelayed(await append(), 5_000)).resolves.toBe(true);
    expect(b.role).toBe('leader');
    expect(published).toEqual(['1', '2']);
    await way.cut();
  });

  it('leave it to the leader for as long as Kafka takes', async () => {
    const published: string[] = [];
    let release: (() => void) | undefined;
    const a = start(
      async (batch) => {
        await new Promise<void>((resolve) => (release = resolve));
        await into(published)(batch);
      },
      { silenceMs: 500, signOfLifeMs: 100 },
    );
    const position = await append();
    await until(() => release !== undefined);
    const [{ pid } = { pid: 0 }] = await sessions();
    const b = start(into(published));
    await until(() => b.role === 'follower');
    // It has said something more than three times as long after it began as it may be silent.
    await until(async () => (await sessions()).every((session) => session.pid !== pid || session.spoken_for_ms > 1_500));
    expect(a.role).toBe('leader');
    release?.();
    await expect(b.waitUntilRelayed(position, 5_000)).resolves.toBe(true);
    expect(published).toEqual(['1']);
  });

  it('publish again what a deposed leader may have put behind newer events', async () => {
    const published: string[] = [];
    let held: (() => void) | undefined;
    const a = start(async (batch) => {
      await new Promise<void>((resolve) => (held = resolve));
      held = undefined;
      published.push(`late ${batch.map(({ type }) => type).join()}`);
    });
    await append();
    await until(() => held !== undefined);

    await killSession();
    const b = start(into(published));
    await expect(b.waitUntilRelayed(await append(), 5_000)).resolves.toBe(true);
    expect(published).toEqual(['1', '2']);
    held?.();
    await until(() => published.length === 5);
    expect(published).toEqual(['1', '2', 'late 1', '1', '2']);
    expect(a.role).not.toBe('leader');
  });
});
