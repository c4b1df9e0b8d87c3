import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { eventually } from '@posthorn/testkit';
import { Session } from '../src/index.js';
import { createDatabase, type TestDatabase } from './database.js';

let database: TestDatabase;
beforeAll(async () => {
  database = await createDatabase();
});
afterAll(() => database.drop());

const open = async (): Promise<number> => {
  const { rows } = await database.pool.query<{ count: number }>(`select count(*)::integer as count from pg_stat_activity where application_name = 'not set up'`);
  return rows[0]?.count ?? 0;
};

it('leaves no connection behind that could not be set up', async () => {
  const session = new Session({ url: database.url, name: 'not set up', setup: 'select from nowhere' });
  for (let tries = 0; tries < 3; tries++) await expect(session.query('one', 'select 1', [])).rejects.toThrow('nowhere');
  await eventually(async () => (await open()) === 0);
  await session.close();
});
