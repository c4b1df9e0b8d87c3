import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { Client } from 'pg';
import { Conversation, stateOf } from '../src/index.js';
import { createDatabase, type TestDatabase } from './database.js';

let database: TestDatabase;
let client: Client;

const names = ['id', 'text'] as const;
const ids = async (): Promise<readonly number[]> => (await client.query<{ id: number }>('select id from spoken order by id')).rows.map(({ id }) => id);

beforeAll(async () => {
  database = await createDatabase();
  client = new Client(database.url);
  await client.connect();
  await client.query('create table spoken (id integer primary key, text text); create table other (id integer, text text)');
});
beforeEach(() => client.query('truncate spoken, other'));
afterAll(async () => {
  await client.end();
  await database.drop();
});

describe('a conversation', () => {
  it('says nothing until it asks, and then all of it in order, in one go', async () => {
    const conversation = new Conversation(client);
    conversation.tell('begin');
    conversation.copy('spoken', names, [{ id: 1, text: 'a\tb' }, { id: 2, text: null }]);
    conversation.tell(`insert into other select id * 10, text from spoken`);
    conversation.copy('other', names, [{ id: 3, text: 'c' }]);
    conversation.copy('other', names, []);
    expect(await ids()).toEqual([]);
    const { rows } = await conversation.ask<{ id: number; text: string | null }>('select id, text from other order by id');
    expect(rows).toEqual([{ id: 3, text: 'c' }, { id: 10, text: 'a\tb' }, { id: 20, text: null }]);
    await conversation.ask('commit');
    expect(await ids()).toEqual([1, 2]);
  });

  it('answers what is asked first and alone, how many rows it changed too', async () => {
    const conversation = new Conversation(client);
    expect((await conversation.ask<{ one: number }>('select 1 as one')).rows).toEqual([{ one: 1 }]);
    conversation.copy('spoken', names, [{ id: 1, text: '' }, { id: 2, text: '' }]);
    expect((await conversation.ask('update spoken set text = $$x$$')).rowCount).toBe(2);
  });

  it('carries more than the buffers on the way hold', async () => {
    const conversation = new Conversation(client);
    conversation.copy('spoken', names, Array.from({ length: 20_000 }, (_, id) => ({ id, text: 'x'.repeat(1_000) })));
    expect((await conversation.ask<{ bytes: string }>('select sum(length(text)) as bytes from spoken')).rows).toEqual([{ bytes: '20000000' }]);
  });

  it('ends at the first error: nothing behind it is executed, however much was on its way, and the session goes on', async () => {
    await client.query(`insert into spoken values (7, '')`);
    const conversation = new Conversation(client);
    conversation.tell('begin');
    conversation.copy('spoken', names, [{ id: 1, text: '' }, { id: 7, text: '' }]);
    conversation.copy('other', names, Array.from({ length: 5_000 }, (_, id) => ({ id, text: 'x'.repeat(1_000) })));
    const failed = await conversation.ask('commit').catch((error: unknown) => error);
    expect([stateOf(failed), (failed as { table: string }).table]).toEqual(['23505', 'spoken']);
    await client.query('rollback');
    expect(await ids()).toEqual([7]);
    expect((await client.query('select from other')).rowCount).toBe(0);
    const next = new Conversation(client);
    next.copy('spoken', names, [{ id: 8, text: '' }]);
    await next.ask('select 1');
    expect(await ids()).toEqual([7, 8]);
  });

  it('ends with its connection', async () => {
    const other = new Client(database.url);
    other.on('error', () => undefined);
    await other.connect();
    const conversation = new Conversation(other);
    const { rows } = await conversation.ask<{ pid: number }>('select pg_backend_pid() as pid');
    await Promise.all([
      expect(conversation.ask('select pg_sleep(60)')).rejects.toThrow(/terminat/i),
      database.pool.query('select pg_terminate_backend($1)', [rows[0]?.pid]),
    ]);
  });
});
