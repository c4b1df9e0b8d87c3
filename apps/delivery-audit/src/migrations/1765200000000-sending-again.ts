import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * What is asked of the audit itself, in a schema of its own: no topic holds it, so it is no part of what is folded again. A replay's history is
 * beside it, in the event store.
 */
export class SendingAgain1765200000000 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`create schema replays`);
    await runner.query(`
      create table replays.replays (
        id          text collate "C" primary key,
        version     integer not null,
        tenant      text collate "C" not null,
        status      text collate "C" not null,
        state       jsonb not null,
        actor       text not null,
        finished_at timestamptz,
        reached_at  timestamptz not null,
        reached_id  text collate "C" not null,
        worked_at   timestamptz,
        matched     bigint not null default 0,
        done        bigint not null default 0,
        skipped     bigint not null default 0,
        filtered    bigint not null default 0,
        disabled    bigint not null default 0,
        expired     bigint not null default 0
      )`);
    await runner.query(`comment on column replays.replays.reached_at is 'with reached_id: what has been looked at last; of the page-maker alone, as all that follows'`);
    await runner.query(`create index replays_of_tenant on replays.replays (tenant, id)`);
    await runner.query(`create index replays_open on replays.replays (status, tenant) where finished_at is null`);
    await runner.query(`create index replays_finished on replays.replays (finished_at) where finished_at is not null`);
    await runner.query(`
      create table replays.outbox (
        id              bigint generated always as identity primary key,
        day             date not null,
        delivery_id     uuid not null,
        round           integer not null,
        tenant          text collate "C" not null,
        event_id        text collate "C" not null,
        subscription_id text collate "C" not null,
        spread          integer not null,
        position        bigint not null,
        trigger         text not null,
        at              timestamptz not null,
        actor           text not null,
        replay_id       text,
        forced          boolean not null
      )`);
    await runner.query(`comment on table replays.outbox is 'rounds that are asked for and not yet in Kafka; spread and position are those of the registry when they were'`);
    await runner.query(`
      create table replays.answers (
        actor       text not null,
        key         text not null,
        fingerprint bytea not null,
        answer      json not null,
        created_at  timestamptz not null,
        primary key (actor, key)
      )`);
    await runner.query(`create index answers_by_age on replays.answers (created_at)`);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`drop table replays.answers, replays.outbox, replays.replays`);
    await runner.query(`drop schema replays`);
  }
}
