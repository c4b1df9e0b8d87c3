import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { eventually, Way } from '@posthorn/testkit';
import { Leader, type LeaderOptions } from '../src/index.js';
import { createDatabase, type TestDatabase } from './database.js';

const log = { info: () => undefined, warn: () => undefined };
const nothing = (): void => undefined;

let database: TestDatabase;
let leaders: Leader[];
let name: string;
let runs = 0;

beforeAll(async () => {
  database = await createDatabase();
});
afterAll(() => database.drop());

beforeEach(() => {
  leaders = [];
  name = `leading ${++runs}`;
});
afterEach(async () => {
  await Promise.all(leaders.map((leader) => leader.close()));
});

const start = (work: LeaderOptions['work'], options: Partial<LeaderOptions> = {}): Leader => {
  const leader = new Leader({ name, connectionString: database.url, wakenBy: ['work_to_do'], work, log, pollMs: 50, drainMs: 500, ...options });
  leaders.push(leader);
  return leader;
};

const never = 3_600_000;
const cutOff = (): Promise<unknown> => database.pool.query(`select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'posthorn ${name}'`);

describe('leading', () => {
  it('is one at a time, and another when that one ends', async () => {
    let worked: string[] = [];
    const work = (who: string) => async () => {
      worked.push(who);
      return never;
    };
    const first = start(work('first'));
    await eventually(() => first.role === 'leader');
    const second = start(work('second'));
    await eventually(() => second.role === 'follower');
    await database.pool.query('notify work_to_do');
    await eventually(() => worked.filter((who) => who === 'first').length > 1);
    expect(worked).not.toContain('second');
    await first.close();
    worked = [];
    await eventually(() => worked.includes('second'));
    expect(worked).not.toContain('first');
  });

  it('is woken at once, also by what is notified while it works', async () => {
    let turns = 0;
    let release = nothing;
    const leader = start(
      async () => {
        turns += 1;
        if (turns === 1) await new Promise<void>((resolve) => (release = resolve));
        return never;
      },
      { pollMs: never },
    );
    await eventually(() => turns === 1);
    await database.pool.query('notify work_to_do');
    await database.pool.query('select 1');
    release();
    await eventually(() => turns === 2);
    await database.pool.query('notify work_to_do');
    await eventually(() => turns === 3);
    expect(leader.role).toBe('leader');
  });

  it('looks again when the work says so', async () => {
    let turns = 0;
    const leader = start(async () => (++turns < 3 ? 10 : never), { pollMs: never });
    await eventually(() => turns === 3);
    expect(leader.role).toBe('leader');
  });

  it('goes on after its connection was cut, and never beside one that is still at work', async () => {
    let atWork = 0;
    let most = 0;
    let turns = 0;
    start(async (client) => {
      turns += 1;
      most = Math.max(most, ++atWork);
      await client.query('select pg_sleep(0.05)').catch(() => undefined);
      atWork -= 1;
      return 10;
    });
    await eventually(() => turns > 0);
    for (let cut = 0; cut < 3; cut++) {
      const before = turns;
      await cutOff();
      await eventually(() => turns > before + 1);
    }
    expect(most).toBe(1);
  });

  it('passes to another when its process is frozen, although its connection stays, and is kept while its work waits for something else', async () => {
    const { hostname, port } = new URL(database.url);
    const way = new Way({ host: hostname, port: Number(port) });
    const connectionString = Object.assign(new URL(database.url), { host: `127.0.0.1:${await way.open()}` }).href;
    let release = nothing;
    const patient = async (): Promise<number> => {
      await new Promise<void>((resolve) => (release = resolve));
      return never;
    };
    const first = start(patient, { connectionString, silenceMs: 500, signOfLifeMs: 100 });
    await eventually(() => first.role === 'leader');
    const second = start(async () => never);
    const spokenForMs = async (): Promise<number> => {
      const { rows } = await database.pool.query<{ ms: number }>(
        `select extract(epoch from state_change - backend_start)::float * 1000 as ms from pg_stat_activity where application_name = $1 order by backend_start limit 1`,
        [`posthorn ${name}`],
      );
      return rows[0]?.ms ?? 0;
    };
    await eventually(async () => (await spokenForMs()) > 1_500);
    expect([first.role, second.role]).toEqual(['leader', 'follower']);
    way.stop();
    await eventually(() => second.role === 'leader');
    release();
    await way.cut();
  });

  it('tries again when the work fails', async () => {
    let turns = 0;
    const leader = start(async () => {
      turns += 1;
      if (turns < 3) throw new Error('not now');
      return never;
    });
    await eventually(() => turns >= 3);
    expect(leader.role).toBe('leader');
  });
});
