import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * The figures of attempts and ended deliveries (`Figures`), of each subscription and, under an empty id, of each tenant: by minutes, which are kept for some
 * days, and by hours, which are kept as long as what they tell of; in one partition per UTC day of `at`. What transactions have added and nobody has
 * folded into these yet waits in `statistics_deltas`; whoever reads adds both.
 *
 * Figures are packed already: compressing them again costs time and gains nothing. A row is rewritten as long as its minute or hour goes on, in
 * place where its page has room.
 */
export class Statistics1765300000000 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    for (const table of ['statistics_minutes', 'statistics_hours']) {
      await runner.query(`
        create table audit.${table} (
          day             date not null,
          tenant          text collate "C" not null,
          subscription_id text collate "C" not null,
          at              timestamptz not null,
          figures         bytea not null,
          primary key (tenant, subscription_id, at, day)
        ) partition by range (day)`);
      await runner.query(`alter table audit.${table} alter column figures set storage external`);
    }
    await runner.query(`comment on column audit.statistics_hours.subscription_id is 'empty: all of the tenant''s together'`);
    await runner.query(`
      create table audit.statistics_deltas (
        id      bigint generated always as identity primary key,
        tenant  text collate "C" not null,
        figures bytea not null
      ) with (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000)`);
    await runner.query(`alter table audit.statistics_deltas alter column figures set storage external`);
    await runner.query(`comment on table audit.statistics_deltas is 'a transaction''s figures of a tenant, written with the rows that they tell of'`);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`drop table audit.statistics_deltas, audit.statistics_hours, audit.statistics_minutes`);
  }
}
