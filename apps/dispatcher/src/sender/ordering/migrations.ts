import type { MigrationInterface, QueryRunner } from 'typeorm';

export const SCHEMA = 'dispatcher';
export const HOLDING_LOST = 'PH002';

/**
 * The backlog of blocked keys: their deliveries, in the order of their places in `deliveries.requested`.
 *
 * `due_ms` of a row (milliseconds since 1970) says what it is: null, another one of its key is before it; 0, it is under way; else it is a
 * head that waits. A row that has ended stays, marked, until its record will not be read again: a record that is read again must not be
 * taken for a new one. `records` has the value once, however many deliveries of it wait, and not when all have ended. `owners` has for each partition the number that its holder
 * writes under: each statement looks at it, under a lock that the taking of the partition waits for.
 *
 * Nothing may depend on statistics: the tables are drained and filled again within the minute, and to a planner that has seen them empty
 * a whole index costs no more than a row of it. So every look into `backlog` or `records` can go by one index only, and each row that
 * belongs to another is looked up by itself: in a loop, or behind an `offset 0`, which keeps a subquery from becoming a join.
 * A statement says of a partial index's condition just what makes it the index that is meant.
 */
class CreateBacklog1795800000000 implements MigrationInterface {
  readonly name = 'CreateBacklog1795800000000';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      create table ${SCHEMA}.owners (
        partition integer primary key,
        epoch bigint not null
      )`);
    await runner.query(`
      create table ${SCHEMA}.records (
        id uuid primary key,
        partition integer not null,
        record_offset bigint not null,
        position bigint not null,
        value bytea not null
      )`);
    // It has been compressed by whoever produced it, or is not worth it for the moment that it stays.
    await runner.query(`alter table ${SCHEMA}.records alter value set storage external`);
    await runner.query(`create index records_place on ${SCHEMA}.records (partition, record_offset)`);
    await runner.query(`
      create table ${SCHEMA}.backlog (
        record uuid not null,
        index integer not null,
        partition integer not null,
        record_offset bigint not null,
        subscription text not null,
        key text not null,
        delivery text not null,
        round integer not null,
        number integer not null,
        reserved boolean not null,
        due_ms bigint,
        ended boolean not null,
        primary key (record, index),
        check (not ended or due_ms is null)
      ) with (autovacuum_vacuum_scale_factor = 0.05)`);
    // Not `where not ended`: it would be one more index for whoever looks for rows that have not.
    await runner.query(`create unique index backlog_deliveries on ${SCHEMA}.backlog (delivery, (case when not ended then round end))`);
    await runner.query(`create index backlog_keys on ${SCHEMA}.backlog (partition, subscription, key, record_offset, index) where not ended`);
    await runner.query(`create index backlog_due on ${SCHEMA}.backlog (partition, due_ms, record_offset, index) where due_ms is not null`);
    await runner.query(`create index backlog_ended on ${SCHEMA}.backlog (partition, record_offset) where ended`);
    for (const create of [HOLD, TAKE, FORGET, PARK, POSTPONE, ADVANCE]) await runner.query(create);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`drop function ${SCHEMA}.advance, ${SCHEMA}.postpone, ${SCHEMA}.park, ${SCHEMA}.forget, ${SCHEMA}.take, ${SCHEMA}.hold`);
    await runner.query(`drop table ${SCHEMA}.backlog, ${SCHEMA}.records, ${SCHEMA}.owners`);
  }
}

/** Every statement of a holder begins with it. Its lock lasts to the end of the statement: who takes the partition waits, and then sees what was written. */
const HOLD = `
  create function ${SCHEMA}.hold(p_partition integer, p_epoch bigint) returns boolean language plpgsql as $$
  begin
    perform from ${SCHEMA}.owners where partition = p_partition and epoch = p_epoch for share;
    if not found then raise exception 'another sender has taken partition %', p_partition using errcode = '${HOLDING_LOST}'; end if;
    return true;
  end $$`;

const TAKE = `
  create function ${SCHEMA}.take(p_partition integer) returns bigint language sql as $$
    insert into ${SCHEMA}.owners values (p_partition, 1)
      on conflict (partition) do update set epoch = owners.epoch + 1 returning epoch
  $$`;

const FORGET = `
  create function ${SCHEMA}.forget(p_partition integer, p_epoch bigint, p_committed bigint) returns bigint language plpgsql as $$
  declare
    v_records uuid[];
  begin
    perform ${SCHEMA}.hold(p_partition, p_epoch);
    with gone as (delete from ${SCHEMA}.backlog where partition = p_partition and ended and record_offset < p_committed returning record)
      select array_agg(distinct record) into v_records from gone;
    delete from ${SCHEMA}.records r where id = any(v_records) and not exists (select from ${SCHEMA}.backlog b where b.record = r.id offset 0);
    return (select count(*) from ${SCHEMA}.backlog where partition = p_partition and ended);
  end $$`;

/** Answers with the rows that are not there in the end: their delivery waits already, by another record. */
const PARK = `
  create function ${SCHEMA}.park(
    p_partition integer, p_epoch bigint, p_ids uuid[], p_offsets bigint[], p_positions bigint[], p_values bytea[],
    p_records uuid[], p_indexes integer[], p_row_offsets bigint[], p_subscriptions text[], p_keys text[], p_deliveries text[],
    p_rounds integer[], p_numbers integer[], p_reserved boolean[], p_due bigint[], p_ended boolean[])
  returns table (record uuid, index integer) language plpgsql as $$
  #variable_conflict use_column
  declare
    v_count bigint;
  begin
    perform ${SCHEMA}.hold(p_partition, p_epoch);
    insert into ${SCHEMA}.records
      select id, p_partition, record_offset, position, value
        from unnest(p_ids, p_offsets, p_positions, p_values) r(id, record_offset, position, value)
      on conflict do nothing;
    insert into ${SCHEMA}.backlog
      select r.record, r.index, p_partition, r.record_offset, r.subscription, r.key, r.delivery, r.round, r.number, r.reserved, r.due_ms, r.ended
        from unnest(p_records, p_indexes, p_row_offsets, p_subscriptions, p_keys, p_deliveries, p_rounds, p_numbers, p_reserved, p_due, p_ended)
          with ordinality r(record, index, record_offset, subscription, key, delivery, round, number, reserved, due_ms, ended, place)
        order by r.place
      on conflict do nothing;
    get diagnostics v_count = row_count;
    if v_count = cardinality(p_records) then return; end if;
    return query
      select r.record, r.index from unnest(p_records, p_indexes) r(record, index)
        where not exists (select from ${SCHEMA}.backlog b where b.record = r.record and b.index = r.index offset 0);
    delete from ${SCHEMA}.records r where id = any(p_ids) and not exists (select from ${SCHEMA}.backlog b where b.record = r.id offset 0);
  end $$`;

/** What has ended keeps no due time. */
const POSTPONE = `
  create function ${SCHEMA}.postpone(
    p_partition integer, p_epoch bigint, p_records uuid[], p_indexes integer[], p_due bigint[], p_numbers integer[], p_reserved boolean[])
  returns void language plpgsql as $$
  declare
    v_change record;
  begin
    perform ${SCHEMA}.hold(p_partition, p_epoch);
    for v_change in select * from unnest(p_records, p_indexes, p_due, p_numbers, p_reserved) c(record, index, due_ms, number, reserved) loop
      update ${SCHEMA}.backlog b
        set due_ms = case when not b.ended then v_change.due_ms end, number = v_change.number, reserved = v_change.reserved
        where b.record = v_change.record and b.index = v_change.index;
    end loop;
  end $$`;

/** What is next of a key comes with its value; the first in any case, more of them up to 256 KiB. */
const ADVANCE = `
  create function ${SCHEMA}.advance(
    p_partition integer, p_epoch bigint, p_records uuid[], p_indexes integer[],
    p_subscriptions text[], p_keys text[], p_limits integer[])
  returns table (chain bigint, record uuid, index integer, record_offset bigint, number integer, reserved boolean, due_ms bigint, value bytea)
  language plpgsql as $$
  #variable_conflict use_column
  declare
    v_place record;
    v_chain record;
  begin
    perform ${SCHEMA}.hold(p_partition, p_epoch);
    for v_place in select * from unnest(p_records, p_indexes) e(record, index) loop
      update ${SCHEMA}.backlog b set ended = true, due_ms = null where b.record = v_place.record and b.index = v_place.index;
    end loop;
    for v_chain in select * from unnest(p_subscriptions, p_keys) c(subscription, key) loop
      select b.record, b.index into v_place from ${SCHEMA}.backlog b
        where b.partition = p_partition and b.subscription = v_chain.subscription and b.key = v_chain.key and not b.ended
        order by b.record_offset, b.index limit 1;
      update ${SCHEMA}.backlog b set due_ms = 0
        where b.record = v_place.record and b.index = v_place.index and b.due_ms is distinct from 0;
    end loop;
    return query
      select c.place, n.record, n.index, n.record_offset, n.number, n.reserved, coalesce(n.due_ms, 0), n.value
        from unnest(p_subscriptions, p_keys, p_limits) with ordinality c(subscription, key, most, place)
        cross join lateral (
          select m.*, r.value,
              sum(octet_length(r.value)) over (order by m.record_offset, m.index) as bytes,
              row_number() over (order by m.record_offset, m.index) as nth
            from (
              select * from ${SCHEMA}.backlog b
                where b.partition = p_partition and b.subscription = c.subscription and b.key = c.key and not b.ended
                order by b.record_offset, b.index limit c.most) m
            cross join lateral (select value from ${SCHEMA}.records where id = m.record offset 0) r) n
        where n.nth = 1 or n.bytes <= 262144
        order by c.place, n.record_offset, n.index;
  end $$`;

/** Found by the delivery: nothing is said of a due time, or an index of due times would do as well. */
const HASTEN_ROUNDS = `
  create function ${SCHEMA}.hasten_rounds(p_partition integer, p_epoch bigint, p_deliveries text[], p_rounds integer[], p_now bigint)
  returns void language plpgsql as $$
  declare
    v_round record;
  begin
    perform ${SCHEMA}.hold(p_partition, p_epoch);
    for v_round in select * from unnest(p_deliveries, p_rounds) r(delivery, round) loop
      update ${SCHEMA}.backlog b
        set due_ms = case when b.due_ms > p_now then p_now else b.due_ms end
        where b.delivery = v_round.delivery and (case when not b.ended then b.round end) = v_round.round;
    end loop;
  end $$`;

/** What a user has cancelled is not to hold up its key until it is due. */
class HastenRounds1796500000000 implements MigrationInterface {
  readonly name = 'HastenRounds1796500000000';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(HASTEN_ROUNDS);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`drop function ${SCHEMA}.hasten_rounds`);
  }
}

export const migrations = [CreateBacklog1795800000000, HastenRounds1796500000000];
