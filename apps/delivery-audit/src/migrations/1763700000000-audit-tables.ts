import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * Three tables, each in one partition per UTC day of the event's acceptance, so that old days leave by dropping a partition.
 * The day closes every key instead of opening it: one probe per partition then finds a row by its id alone, and no further
 * index is needed for that.
 *
 * Texts that are keys compare by bytes (collation C): cheaper, and the same order in every replica.
 * JSON is kept as `json`, not `jsonb`: it holds what `JSON.stringify` wrote, member order, U+0000 and lone surrogates included
 * (jsonb refuses the latter two), and costs less to load. It is there to be shown: SQL that looks into it fails on such an
 * escape, so whatever is to be filtered or counted has a column.
 */
export class AuditTables1763700000000 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    // From weakest to strongest: of two outcomes of one and the same attempt (a request repeated after a crash), the
    // stronger holds. The loader compares these values, so their order is a rule, not a nicety.
    await runner.query(`create type audit.delivery_status as enum ('pending', 'retrying', 'cancelled', 'failed', 'delivered')`);

    await runner.query(`
      create table audit.events (
        day          date not null,
        tenant       text collate "C" not null,
        id           text collate "C" not null,
        type         text collate "C" not null,
        source       text not null,
        subject      text collate "C",
        time         text not null,
        accepted_at  timestamptz not null,
        key          text,
        content_type text,
        traceparent  text,
        headers      json,
        context      json,
        data         bytea not null,
        primary key (tenant, id, day)
      ) partition by range (day)`);
    await runner.query(`comment on column audit.events.time is 'as the producer wrote it: digits and offset kept'`);
    await runner.query(`create index events_newest on audit.events (tenant, accepted_at, id)`);

    await runner.query(`
      create table audit.deliveries (
        day              date not null,
        id               text collate "C" not null,
        tenant           text collate "C" not null,
        event_id         text collate "C" not null,
        event_type       text collate "C" not null,
        subject          text collate "C",
        subscription_id  text collate "C" not null,
        created_at       timestamptz not null,
        round            integer not null,
        number           integer not null,
        status           audit.delivery_status not null,
        updated_at       timestamptz not null,
        next_attempt_at  timestamptz,
        last_status_code integer,
        last_error       text,
        finished_at      timestamptz,
        attempts         integer not null,
        primary key (id, day)
      ) partition by range (day)`);
    await runner.query(`comment on table audit.deliveries is 'round to finished_at are those of the latest outcome; round 0, number 0 when there is none'`);
    await runner.query(`create index deliveries_newest on audit.deliveries (tenant, created_at, id)`);
    await runner.query(`create index deliveries_of_event on audit.deliveries (event_id)`);
    await runner.query(`create index deliveries_of_subscription on audit.deliveries (subscription_id, created_at, id)`);
    // Almost every row is delivered, and those the first index finds at once. The others are few: this index stays small.
    await runner.query(`
      create index deliveries_undelivered on audit.deliveries (tenant, status, created_at, id) where status <> 'delivered'`);

    await runner.query(`
      create table audit.attempts (
        day             date not null,
        delivery_id     text collate "C" not null,
        round           integer not null,
        number          integer not null,
        tenant          text collate "C" not null,
        subscription_id text collate "C" not null,
        trigger         text not null,
        status          audit.delivery_status not null,
        started_at      timestamptz not null,
        duration_ms     double precision not null,
        status_code     integer,
        error_code      text collate "C",
        request         json not null,
        response        json,
        error           json,
        primary key (delivery_id, round, number, day)
      ) partition by range (day)`);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`drop table audit.attempts, audit.deliveries, audit.events`);
    await runner.query(`drop type audit.delivery_status`);
  }
}
