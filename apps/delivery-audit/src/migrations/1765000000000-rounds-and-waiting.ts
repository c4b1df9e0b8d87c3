import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * What waits, what was asked for again and what was called off; and ids of deliveries in 16 bytes instead of 37, as they are in every
 * key of a delivery and its attempts. An attempt no longer repeats its delivery's tenant and subscription: it is never looked for without it.
 */
export class RoundsAndWaiting1765000000000 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      alter table audit.deliveries
        alter column id type uuid using substr(id, 5)::uuid,
        add column waiting_round integer,
        add column waiting_number integer,
        add column waiting_since timestamptz,
        add column waiting_until timestamptz,
        add column waiting_cause text collate "C",
        add column waiting_behind text collate "C"`);
    await runner.query(`comment on column audit.deliveries.id is 'the digits after dlv_'`);
    await runner.query(`comment on column audit.deliveries.waiting_round is
      'that attempt waiting_number of this round was put off; no longer true once an outcome has reached it, or the delivery has ended'`);
    await runner.query(`
      alter table audit.attempts
        alter column delivery_id type uuid using substr(delivery_id, 5)::uuid,
        drop column tenant,
        drop column subscription_id,
        add column subscription_version integer`);
    await runner.query(`
      create table audit.rounds (
        day         date not null,
        delivery_id uuid not null,
        round       integer not null,
        tenant      text collate "C" not null,
        trigger     text collate "C" not null,
        at          timestamptz not null,
        actor       text collate "C" not null,
        replay_id   text collate "C",
        forced      boolean not null,
        primary key (delivery_id, round, day)
      ) partition by range (day)`);
    await runner.query(`comment on table audit.rounds is 'rounds that were asked for; round 0 is the router''s and has no row'`);
    await runner.query(`
      create table audit.cancellations (
        day         date not null,
        delivery_id uuid not null,
        round       integer not null,
        tenant      text collate "C" not null,
        at          timestamptz not null,
        actor       text collate "C" not null,
        primary key (delivery_id, round, day)
      ) partition by range (day)`);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`drop table audit.rounds, audit.cancellations`);
    await runner.query(`
      alter table audit.attempts
        alter column delivery_id type text collate "C" using 'dlv_' || replace(delivery_id::text, '-', ''),
        drop column subscription_version,
        add column tenant text collate "C",
        add column subscription_id text collate "C"`);
    await runner.query(`
      update audit.attempts a set tenant = d.tenant, subscription_id = d.subscription_id
        from audit.deliveries d where d.day = a.day and 'dlv_' || replace(d.id::text, '-', '') = a.delivery_id`);
    await runner.query(`alter table audit.attempts alter column tenant set not null, alter column subscription_id set not null`);
    await runner.query(`
      alter table audit.deliveries
        alter column id type text collate "C" using 'dlv_' || replace(id::text, '-', ''),
        drop column waiting_round,
        drop column waiting_number,
        drop column waiting_since,
        drop column waiting_until,
        drop column waiting_cause,
        drop column waiting_behind`);
  }
}
