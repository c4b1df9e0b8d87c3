import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * The aggregates as they stand, written in the transaction that appends their events. `state` is what `registry.state` carries; the
 * other columns are what lists are filtered by. Ids compare by bytes (collation C): cheaper, and their age.
 */
export class ReadModel1795255200001 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      create table registry.tenants (
        id text collate "C" primary key,
        version integer not null,
        state jsonb not null
      )`);
    await runner.query(`
      create table registry.subscriptions (
        id text collate "C" primary key,
        version integer not null,
        tenant text collate "C" not null,
        name text not null,
        enabled boolean not null,
        event_types text[] not null,
        state jsonb not null
      )`);
    await runner.query('create index subscriptions_of_tenant on registry.subscriptions (tenant, id)');
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('drop table registry.subscriptions');
    await runner.query('drop table registry.tenants');
  }
}
