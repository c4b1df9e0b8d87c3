import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * What explaining needs of the registry and of duplicates, and the indexes that the searches walk.
 *
 * Each index of a list ends with its time and leaves out the id: few rows share a millisecond, and those are sorted as they come. So an entry has 16 to
 * 40 bytes instead of 32 to 56, and equal ones are kept once. There is none by subject or type for deliveries: events have both, and lead to theirs.
 */
export class Searches1765100000000 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      create table audit.configuration (
        stream   text collate "C" not null,
        version  integer not null,
        position bigint not null unique,
        type     text collate "C" not null,
        data     json not null,
        actor    text not null,
        at       timestamptz not null,
        primary key (stream, version)
      )`);
    await runner.query(`comment on table audit.configuration is 'every event of the registry; of its data only what decides who gets an event'`);

    await runner.query(`
      create table audit.duplicates (
        day      date not null,
        tenant   text collate "C" not null,
        event_id text collate "C" not null,
        writer   text collate "C" not null,
        count    integer not null,
        first_at timestamptz not null,
        last_at  timestamptz not null,
        primary key (tenant, event_id, writer, day)
      ) partition by range (day)`);
    await runner.query(`comment on table audit.duplicates is 'how often an event came again, by each process that saw it: they add up'`);

    for (const index of ['deliveries_newest', 'deliveries_of_event', 'deliveries_of_subscription', 'deliveries_undelivered', 'events_newest']) {
      await runner.query(`drop index audit.${index}`);
    }
    await runner.query(`create index deliveries_newest on audit.deliveries (tenant, created_at)`);
    await runner.query(`create index deliveries_of_event on audit.deliveries (event_id, created_at)`);
    await runner.query(`create index deliveries_of_subscription on audit.deliveries (subscription_id, created_at)`);
    // Almost every row is delivered, and those the others find at once. What is not is little, and is what people look for.
    await runner.query(`create index deliveries_undelivered on audit.deliveries (tenant, status, created_at) where status <> 'delivered'`);
    await runner.query(`
      create index deliveries_undelivered_of_subscription on audit.deliveries (subscription_id, status, created_at) where status <> 'delivered'`);
    await runner.query(`create index events_newest on audit.events (tenant, accepted_at)`);
    await runner.query(`create index events_of_type on audit.events (tenant, type, accepted_at)`);
    await runner.query(`create index events_of_subject on audit.events (tenant, subject, accepted_at) where subject is not null`);
    await runner.query(`create index rejected_events_of_event on audit.rejected_events (tenant, event_id, rejected_at) where event_id is not null`);
  }

  async down(runner: QueryRunner): Promise<void> {
    for (const index of [
      'rejected_events_of_event',
      'events_of_subject',
      'events_of_type',
      'events_newest',
      'deliveries_undelivered_of_subscription',
      'deliveries_undelivered',
      'deliveries_of_subscription',
      'deliveries_of_event',
      'deliveries_newest',
    ]) {
      await runner.query(`drop index audit.${index}`);
    }
    await runner.query(`create index events_newest on audit.events (tenant, accepted_at, id)`);
    await runner.query(`create index deliveries_newest on audit.deliveries (tenant, created_at, id)`);
    await runner.query(`create index deliveries_of_event on audit.deliveries (event_id)`);
    await runner.query(`create index deliveries_of_subscription on audit.deliveries (subscription_id, created_at, id)`);
    await runner.query(`
      create index deliveries_undelivered on audit.deliveries (tenant, status, created_at, id) where status <> 'delivered'`);
    await runner.query(`drop table audit.duplicates, audit.configuration`);
  }
}
