import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import * as fc from 'fast-check';
import { eventually } from '@posthorn/testkit';
import { Client } from 'pg';
import { run } from '../src/commands/run.js';
import { histories, type HistoryRecord } from '../src/spec-support/histories.js';
import { rejected, rejectionOf, type TestRecord } from './records.js';
import { World } from './world.js';

const DAY_MS = 86_400_000;
const dayAgo = (days: number): string => new Date(Date.now() - days * DAY_MS).toISOString().slice(0, 10);
const [today, yesterday] = [dayAgo(0), dayAgo(1)];

/** Around the last midnight. */
const historyOf = (seed: number): readonly HistoryRecord[] =>
  fc.sample(histories({ from: `${yesterday}T23:59:30.000Z`, spanMs: 60_000, events: 40, name: `of ${seed} ` }), { seed, numRuns: 20 }).toSorted((a, b) => b.records.length - a.records.length)[0]
    ?.records ?? [];

const recordsOf = (history: readonly HistoryRecord[]): TestRecord[] => history.map(({ topic, text }) => ({ topic, value: Buffer.from(text) }));

let world: World;

const env = (): NodeJS.ProcessEnv => ({
  POSTHORN_KAFKA_BROKERS: process.env['POSTHORN_KAFKA_BROKERS'],
  POSTHORN_DATABASE_URL: world.database.url,
  POSTHORN_TOPIC_PREFIX: world.topicPrefix,
  LOG_LEVEL: 'silent',
});

const command = async (line: string, more: NodeJS.ProcessEnv = {}) => {
  const out: string[] = [];
  const err: string[] = [];
  const exit = await run(line.split(' '), { ...env(), ...more }, { out: (text) => out.push(text), err: (text) => err.push(text) });
  return { exit, out, err };
};

/** The tables, what they are made of, and whatever else lies in the database. */
const everything = async () => ({
  rows: await world.database.dump(),
  hours: await world.database.query('select * from audit.statistics_hours order by tenant, subscription_id, at'),
  configuration: await world.database.query('select * from audit.configuration order by position'),
  relations: await world.database.query(
    `select relnamespace::regnamespace::text as schema, relname, relkind, relispartition, pg_get_expr(relpartbound, oid) as bound,
       pg_get_indexdef(case when relkind in ('i', 'I') then oid end) as index
     from pg_class where relnamespace::regnamespace::text ~ '^audit' order by 1, 2`,
  ),
  constraints: await world.database.query(
    `select conrelid::regclass::text as table, conname, pg_get_constraintdef(oid) as definition from pg_constraint
     where connamespace = 'audit'::regnamespace order by 1, 2`,
  ),
});

/** Somebody who reads a table and does not come to an end. */
const reading = async (table: string): Promise<Client> => {
  const reader = new Client({ connectionString: world.database.url });
  // A test that fails drops the database under it.
  reader.on('error', () => undefined);
  await reader.connect();
  await reader.query(`begin; select from ${table} limit 1`);
  return reader;
};

beforeAll(async () => {
  world = await World.create();
  await world.service.ready();
  await world.publish([...recordsOf(historyOf(1)), rejected(rejectionOf('rej_kept', { rejected_at: `${today}T00:00:01.000Z` }))]);
  await command(`rebuild --verify --from ${yesterday}`);
}, 90_000);
afterAll(() => world.close(), 60_000);

describe('rebuild', () => {
  it('finds nothing to complain of in what the audit has written', async () => {
    expect((await world.database.dump())['attempts']?.length).toBeGreaterThan(20);
    await expect(command(`rebuild --verify --from ${yesterday}`)).resolves.toEqual({
      exit: 0,
      out: [expect.stringMatching(/^compared from .* on: equal; [\d,]+ records in /)],
      err: expect.not.arrayContaining([expect.not.stringMatching(/^[\d,]+ records, \d+ %/)]),
    });
  }, 60_000);

  it('tells with --verify which rows differ, and leaves them', async () => {
    const before = await everything();
    const { database } = world;
    await database.query(`update audit.deliveries set status = 'failed', round = 9 where day = $1 and id = (select id from audit.deliveries where day = $1 order by id limit 1)`, [today]);
    await database.query(`delete from audit.events where day = $1 and (tenant, id) = (select tenant, id from audit.events where day = $1 order by tenant, id limit 1)`, [today]);
    await database.query(
      `insert into audit.rounds (day, delivery_id, round, tenant, trigger, at, actor, forced) values ($1, gen_random_uuid(), 1, 'default', 'redeliver', now(), 'nobody', false)`,
      [yesterday],
    );
    const forged = await everything();
    const { exit, out } = await command(`rebuild --verify --from ${yesterday}`);
    expect([exit, out.slice(1).map((line) => line.replace(/: .*/, ''))]).toEqual([
      1,
      [`missing in events of ${today}`, `different in deliveries of ${today}`, `surplus in rounds of ${yesterday}`],
    ]);
    await expect(everything()).resolves.toEqual(forged);

    await expect(command(`rebuild --from ${today}`)).resolves.toMatchObject({ exit: 0, out: [expect.stringMatching(/^rebuilt from /)] });
    const { exit: stillWrong, out: what } = await command(`rebuild --verify --from ${yesterday}`);
    expect([stillWrong, what.slice(1)]).toEqual([1, [expect.stringMatching(`^surplus in rounds of ${yesterday}`)]]);
    await expect(command(`rebuild --from ${yesterday}`)).resolves.toMatchObject({ exit: 0 });
    await expect(everything()).resolves.toEqual(before);
  }, 60_000);

  it('keeps what no topic says: what became of a refused event, and rounds that are not in Kafka yet', async () => {
    const { database } = world;
    await database.query(`update audit.rejected_events set published_as = 'e1', published_at = now() where id = 'rej_kept'`);
    const [delivery] = await database.query<{ id: string; round: number }>('select id, round from audit.deliveries where day = $1 order by id limit 1', [today]);
    const { id = '', round = 0 } = delivery ?? {};
    // As who asks for it leaves it, when nobody is there to send it on.
    await world.service.stop();
    await database.query(
      `insert into replays.outbox (day, delivery_id, round, tenant, event_id, subscription_id, spread, position, trigger, at, actor, forced)
       select day, id, round + 1, tenant, event_id, subscription_id, 1, 1, 'redeliver', now(), 'key_1', false from audit.deliveries where id = $1 and day = $2`,
      [id, today],
    );
    await expect(command(`rebuild --from ${today}`)).resolves.toMatchObject({ exit: 0 });
    const [after] = await database.query('select round, status, number from audit.deliveries where id = $1 and day = $2', [id, today]);
    expect(after).toEqual({ round: round + 1, status: 'pending', number: 0 });
    await expect(database.query('select actor from audit.rounds where delivery_id = $1 and round = $2 and day = $3', [id, round + 1, today])).resolves.toEqual([{ actor: 'key_1' }]);
    await expect(database.query(`select published_as from audit.rejected_events where published_at is not null`)).resolves.toEqual([{ published_as: 'e1' }]);
    await world.start().ready();
    await expect(command(`rebuild --verify --from ${yesterday}`)).resolves.toMatchObject({ exit: 0 });
  }, 60_000);

  it('goes on beside loading and reading; waits for who reads, who waits for nobody; and is carried out once at a time', async () => {
    const { database, service } = world;
    const reader = await reading('audit.deliveries');
    let isOver = false;
    const rebuilding = command(`rebuild --from ${yesterday}`).finally(() => (isOver = true));
    const load = async (seed: number): Promise<void> => {
      const before = await database.query<{ rows: number }>('select count(*)::integer as rows from audit.attempts');
      await world.publish(recordsOf(historyOf(seed)));
      await eventually(async () => ((await database.query<{ rows: number }>('select count(*)::integer as rows from audit.attempts'))[0]?.rows ?? 0) > (before[0]?.rows ?? 0));
    };
    await eventually(async () => (await database.query(`select from pg_namespace where nspname = 'audit_rebuilt'`)).length > 0);
    await expect(command(`rebuild --from ${yesterday}`)).resolves.toMatchObject({ exit: 1, err: [expect.stringContaining('under way already')] });
    await load(2);
    expect((await service.get('/v1/tenants/default/deliveries')).status).toBe(200);
    await load(3);
    expect(isOver).toBe(false);
    await reader.end();
    await expect(rebuilding).resolves.toMatchObject({ exit: 0 });
    await load(4);
    await expect(command(`rebuild --verify --from ${yesterday}`)).resolves.toMatchObject({ exit: 0 });
  }, 60_000);

  it('leaves the tables as they were when it is killed, and the next one cleans up', async () => {
    const { database } = world;
    const reader = await reading('audit.rejected_events');
    const before = await everything();
    const process = spawn(globalThis.process.execPath, [new URL('../bin/posthorn-audit.mjs', import.meta.url).pathname, 'rebuild', '--from', yesterday], { env: env(), stdio: 'ignore' });
    const isAtTables = `select from pg_locks where not granted and relation = 'audit.rejected_events'::regclass`;
    await eventually(async () => (await database.query(isAtTables)).length > 0, { timeoutMs: 20_000, everyMs: 5 });
    const exited = once(process, 'exit');
    process.kill('SIGKILL');
    await exited;
    await reader.end();
    await eventually(async () => (await database.query(`select from pg_stat_activity where datname = current_database() and application_name = 'posthorn-audit rebuild'`)).length === 0);
    const after = await everything();
    const ofAudit = ({ relations, ...rest }: typeof after) => ({ ...rest, relations: relations.filter((relation) => relation['schema'] === 'audit') });
    expect(ofAudit(after)).toEqual(ofAudit(before));
    expect(after.relations.length).toBeGreaterThan(before.relations.length);
    await expect(command(`rebuild --from ${today}`)).resolves.toMatchObject({ exit: 0 });
    await expect(everything()).resolves.toEqual(before);
  }, 60_000);
});

describe('the command line', () => {
  it('shows how it is used, to whoever asks and to whoever is wrong', async () => {
    await expect(command('--help')).resolves.toMatchObject({ exit: 0, out: [expect.stringMatching(/^Usage: posthorn-audit/)] });
    await expect(command('rebuild')).resolves.toMatchObject({ exit: 2, err: [expect.stringContaining('--from is missing')], out: [] });
  });

  it('names what the configuration lacks, and fails when the database is away', async () => {
    await expect(command(`rebuild --from ${today}`, { POSTHORN_DATABASE_URL: undefined })).resolves.toMatchObject({ exit: 2, err: [expect.stringContaining('POSTHORN_DATABASE_URL')] });
    await expect(command(`rebuild --from ${today}`, { POSTHORN_DATABASE_URL: 'postgres://nobody@127.0.0.1:1/nowhere' })).resolves.toMatchObject({ exit: 1, err: [expect.stringContaining('ECONNREFUSED')] });
  });
});
