import type { MigrationInterface, QueryRunner } from 'typeorm';
import { storeNames } from './schema.js';

/** TypeORM migrations that make the store's tables in `schema`, which exists already. */
export const eventStoreMigrations = (schema: string): (new () => MigrationInterface)[] => {
  const { events, checkpoints } = storeNames(schema);

  class CreateEventStore1795255200000 implements MigrationInterface {
    /** Named explicitly: TypeORM orders by the digits and remembers the whole. */
    readonly name = 'CreateEventStore1795255200000';

    async up(runner: QueryRunner): Promise<void> {
      await runner.query(`
        create table ${events} (
          position bigint generated always as identity primary key,
          stream text not null,
          version integer not null check (version > 0),
          type text not null,
          data jsonb not null,
          actor text not null,
          at timestamptz not null,
          unique (stream, version)
        )`);
      await runner.query(`
        create table ${checkpoints} (
          relay text primary key,
          position bigint not null
        )`);
    }

    async down(runner: QueryRunner): Promise<void> {
      await runner.query(`drop table ${checkpoints}`);
      await runner.query(`drop table ${events}`);
    }
  }

  class AddCause1795341600000 implements MigrationInterface {
    readonly name = 'AddCause1795341600000';

    async up(runner: QueryRunner): Promise<void> {
      await runner.query(`alter table ${events} add column cause text`);
    }

    async down(runner: QueryRunner): Promise<void> {
      await runner.query(`alter table ${events} drop column cause`);
    }
  }

  return [CreateEventStore1795255200000, AddCause1795341600000];
};
