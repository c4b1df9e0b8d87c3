import type { MigrationInterface, QueryRunner } from 'typeorm';

export const SCHEMA = 'ingestion';

/** Two lie wholly or partly within the window, the third is wholly older and can be emptied. */
const SLOTS = [0, 1, 2];

/**
 * What has been seen, and what is under way.
 *
 * `ids_0` to `ids_2` take turns, half a window each; a row is a hash and the claim that it came with. A claim's number is the
 * millisecond at which it was made, by the clock of the database, and 20 bits that make it the only one of that name; so it dates its rows. A claim that is in `claims` is open: whether
 * its events are in Kafka is known only to its owner. One that is not there any more is closed: its rows are events that have been accepted.
 * What turns out not to have been accepted is removed from the ids together with the end of its claim, in one transaction. Hence the
 * rule that every reader keeps: rows and their claims are read by one statement, which sees both at one moment.
 */
class CreateDeduplication1795700000000 implements MigrationInterface {
  readonly name = 'CreateDeduplication1795700000000';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      create table ${SCHEMA}.owners (
        id uuid primary key,
        seen timestamptz not null,
        -- Declared by others, when it has not been seen for too long. It enters under another name then.
        dead boolean not null default false
      )`);
    await runner.query(`
      create table ${SCHEMA}.claims (
        id bigint primary key,
        owner uuid not null references ${SCHEMA}.owners,
        -- The owner's own number: a statement whose answer was lost is repeated under the same.
        ticket bigint not null,
        hashes uuid[] not null,
        -- By partition of events.accepted: what the claim's events may have become lies at or after it.
        bounds bigint[] not null,
        unique (owner, ticket)
      ) with (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000)`);
    await runner.query(`alter table ${SCHEMA}.claims alter hashes set storage external`);
    await runner.query(`create sequence ${SCHEMA}.claim_number minvalue 0 maxvalue 1048575 cycle`);
    await runner.query(`
      create table ${SCHEMA}.slots (
        number smallint primary key,
        starts timestamptz not null,
        ends timestamptz not null
      )`);
    for (const slot of SLOTS) {
      await runner.query(`insert into ${SCHEMA}.slots values (${slot}, '-infinity', '-infinity')`);
      await runner.query(`create table ${SCHEMA}.ids_${slot} (hash uuid primary key, claim bigint not null)`);
    }
    await runner.query(TURN);
    await runner.query(HOLDERS);
    await runner.query(TAKE);
    await runner.query(claim('create'));
    await runner.query(RELEASE);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`drop function ${SCHEMA}.release, ${SCHEMA}.claim, ${SCHEMA}.take, ${SCHEMA}.holders, ${SCHEMA}.turn`);
    for (const slot of SLOTS) await runner.query(`drop table ${SCHEMA}.ids_${slot}`);
    await runner.query(`drop sequence ${SCHEMA}.claim_number`);
    await runner.query(`drop table ${SCHEMA}.slots, ${SCHEMA}.claims, ${SCHEMA}.owners`);
  }
}

/** Begins the next slot with the oldest table, emptied. */
const TURN = `
  create function ${SCHEMA}.turn(p_now timestamptz, p_window interval) returns void language plpgsql as $$
  declare
    v_slot smallint;
  begin
    lock table ${SCHEMA}.slots in exclusive mode;
    if exists (select from ${SCHEMA}.slots where ends > p_now) then return; end if;
    select number into v_slot from ${SCHEMA}.slots order by ends, number limit 1;
    execute format('truncate ${SCHEMA}.ids_%s', v_slot);
    update ${SCHEMA}.slots set starts = p_now, ends = p_now + p_window / 2 where number = v_slot;
  end $$`;

/** One statement for each table: PostgreSQL keeps the plans of these, and would make one anew for a statement that is put together. */
const forSlot = (statement: (table: string) => string): string =>
  SLOTS.map((slot) => `${slot === 0 ? 'if' : 'elsif'} p_slot = ${slot} then ${statement(`${SCHEMA}.ids_${slot}`)};`).join('\n    ');

/** Which of the hashes are in a slot under another claim, and whether that one is open. */
const HOLDERS = `
  create function ${SCHEMA}.holders(p_slot smallint, p_hashes uuid[], p_claim bigint, p_since bigint)
  returns table (hash uuid, is_open boolean) language plpgsql as $$
  #variable_conflict use_column
  begin
    ${forSlot(
      (table) => `return query
        select i.hash, exists (select from ${SCHEMA}.claims c where c.id = i.claim)
          from ${table} i where i.hash = any(p_hashes) and i.claim <> p_claim and i.claim > p_since`,
    )}
    end if;
  end $$`;

/** Puts what is not there into a slot. Answers with what is the claim's now, or was already, because the statement is a repetition. */
const TAKE = `
  create function ${SCHEMA}.take(p_slot smallint, p_hashes uuid[], p_claim bigint) returns uuid[] language plpgsql as $$
  declare
    v_count bigint;
    v_taken uuid[];
  begin
    ${forSlot((table) => `insert into ${table} select h, p_claim from unnest(p_hashes) h on conflict do nothing`)}
    end if;
    get diagnostics v_count = row_count;
    if v_count = cardinality(p_hashes) then return p_hashes; end if;
    ${forSlot((table) => `v_taken := array(select hash from ${table} where hash = any(p_hashes) and claim = p_claim order by hash)`)}
    end if;
    return v_taken;
  end $$`;

/**
 * Takes those of the hashes, which come sorted, that nobody has. \`lost\` are the places of the others among them; \`is_open\` says of each that it
 * is not known yet whether its event has been accepted.
 *
 * In the first minute of a slot rows go to the one before as well: a claim that took its time just before the turn cannot be seen yet by
 * one that takes it just after, but they meet at the same unique key. As hashes are sorted and the older slot comes first, no two claims wait for
 * each other.
 */
const claim = (create: 'create' | 'create or replace', since: '' | ', v_since' = ''): string => `
  ${create} function ${SCHEMA}.claim(
    p_owner uuid, p_ticket bigint, p_hashes uuid[], p_bounds bigint[], p_closed bigint[], p_stays_open boolean,
    p_window interval, p_now timestamptz,
    out id bigint, out lost int[], out is_open boolean[])
  language plpgsql as $$
  declare
    c_overlap constant interval := '1 minute';
    v_current ${SCHEMA}.slots;
    v_other ${SCHEMA}.slots;
    v_since bigint := (extract(epoch from p_now - p_window) * 1000)::bigint << 20;
    v_overlaps boolean;
    v_free uuid[] := p_hashes;
    v_taken uuid[];
    v_hashes uuid[];
    v_opens boolean[];
    v_held uuid[] := '{}';
    v_held_open boolean[] := '{}';
  begin
    update ${SCHEMA}.owners o set seen = greatest(seen, p_now) where o.id = p_owner and not dead;
    if not found then raise exception 'this owner is not known, or no longer' using errcode = 'PH001'; end if;
    delete from ${SCHEMA}.claims c where c.id = any(p_closed) and c.owner = p_owner;
    if cardinality(p_hashes) = 0 then return; end if;

    select c.id into id from ${SCHEMA}.claims c where c.owner = p_owner and c.ticket = p_ticket;
    if not found then
      id := (extract(epoch from p_now) * 1000)::bigint << 20 | nextval('${SCHEMA}.claim_number');
      insert into ${SCHEMA}.claims values (id, p_owner, p_ticket, p_hashes, p_bounds);
    end if;

    select * into v_current from ${SCHEMA}.slots order by starts desc limit 1;
    if v_current.ends <= p_now then
      perform ${SCHEMA}.turn(p_now, p_window);
      select * into v_current from ${SCHEMA}.slots order by starts desc limit 1;
    end if;

    for v_other in
      select * from ${SCHEMA}.slots s where s.number <> v_current.number and s.ends + c_overlap > p_now - p_window order by starts
    loop
      v_overlaps := p_now < v_current.starts + c_overlap and v_other.ends > v_current.starts - c_overlap;
      if v_overlaps then v_taken := ${SCHEMA}.take(v_other.number, v_free, id${since}); end if;
      if not v_overlaps or cardinality(v_taken) < cardinality(v_free) then
        select array_agg(h.hash), array_agg(h.is_open) into v_hashes, v_opens
          from ${SCHEMA}.holders(v_other.number, v_free, id, v_since) h;
        if v_hashes is not null then
          v_held := v_held || v_hashes;
          v_held_open := v_held_open || v_opens;
        end if;
        v_free := case
          when v_overlaps then v_taken
          when v_hashes is null then v_free
          else array(select f from unnest(v_free) f where not exists (select from unnest(v_hashes) h where h = f) order by f)
        end;
      end if;
    end loop;

    v_taken := ${SCHEMA}.take(v_current.number, v_free, id${since});
    if cardinality(v_taken) < cardinality(v_free) then
      select v_held || array_agg(h.hash), v_held_open || array_agg(h.is_open) into v_held, v_held_open
        from ${SCHEMA}.holders(v_current.number, v_free, id, v_since) h;
      -- What is another's in one of two overlapping slots must not stay ours in the other.
      v_hashes := array(select f from unnest(v_free) f where not exists (select from unnest(v_taken) t where t = f));
      for v_other in select * from ${SCHEMA}.slots s where s.number <> v_current.number loop
        execute format('delete from ${SCHEMA}.ids_%s where hash = any($1) and claim = $2', v_other.number) using v_hashes, id;
      end loop;
    end if;
    if cardinality(v_taken) = 0 or not p_stays_open then delete from ${SCHEMA}.claims c where c.id = claim.id; end if;
    if cardinality(v_taken) = cardinality(p_hashes) then return; end if;

    -- A hash that is neither ours nor anybody's has just been released: to be asked for again.
    select array_agg(p.place::int), array_agg(coalesce(h.is_open, true)) into lost, is_open
      from unnest(p_hashes) with ordinality p(hash, place)
      left join unnest(v_held, v_held_open) h(hash, is_open) using (hash)
      where not exists (select from unnest(v_taken) t where t = p.hash);
  end $$`;

/** Forgets hashes of an open claim, because their events have not been accepted and will not be; and ends it, if that was the last to be known. */
const RELEASE = `
  create function ${SCHEMA}.release(p_claim bigint, p_hashes uuid[], p_is_end boolean) returns void language plpgsql as $$
  declare
    v_slot smallint;
  begin
    perform from ${SCHEMA}.claims c where c.id = p_claim for update;
    if not found then return; end if;
    for v_slot in select number from ${SCHEMA}.slots loop
      execute format('delete from ${SCHEMA}.ids_%s where hash = any($1) and claim = $2', v_slot) using p_hashes, p_claim;
    end loop;
    if p_is_end then delete from ${SCHEMA}.claims c where c.id = p_claim; end if;
  end $$`;

/**
 * As before, and takes what is older than the window, too, unless its claim is still open. A slot is as long as half the window was when it began; where
 * that has been made smaller, or is of few minutes, what had been forgotten stood in the way of its id until the slot was emptied.
 */
const TAKE_OVER = `
  create function ${SCHEMA}.take(p_slot smallint, p_hashes uuid[], p_claim bigint, p_since bigint) returns uuid[] language plpgsql as $$
  declare
    v_count bigint;
    v_taken uuid[];
  begin
    ${forSlot((table) => `insert into ${table} select h, p_claim from unnest(p_hashes) h on conflict do nothing`)}
    end if;
    get diagnostics v_count = row_count;
    if v_count = cardinality(p_hashes) then return p_hashes; end if;
    -- Locked in their order, as all hashes are.
    ${forSlot(
      (table) => `update ${table} i set claim = p_claim
        from (select hash from ${table} where hash = any(p_hashes) and claim <= p_since order by hash for update) old
        where i.hash = old.hash and not exists (select from ${SCHEMA}.claims c where c.id = i.claim)`,
    )}
    end if;
    ${forSlot((table) => `v_taken := array(select hash from ${table} where hash = any(p_hashes) and claim = p_claim order by hash)`)}
    end if;
    return v_taken;
  end $$`;

class TakeWhatIsForgotten1795800000000 implements MigrationInterface {
  readonly name = 'TakeWhatIsForgotten1795800000000';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(TAKE_OVER);
    await runner.query(claim('create or replace', ', v_since'));
    await runner.query(`drop function ${SCHEMA}.take(smallint, uuid[], bigint)`);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(TAKE);
    await runner.query(claim('create or replace'));
    await runner.query(`drop function ${SCHEMA}.take(smallint, uuid[], bigint, bigint)`);
  }
}

/**
 * As before, but does not wait for whoever reads the table that is to be emptied, as a backup does for as long as it takes: nothing could be claimed until
 * then. Instead the slot lasts longer; that all that is emptied is older than the window stays true.
 */
const TURN_LATER = `
  create or replace function ${SCHEMA}.turn(p_now timestamptz, p_window interval) returns void language plpgsql set lock_timeout = '200ms' as $$
  declare
    c_longer constant interval := '10 seconds';
    v_slot smallint;
  begin
    lock table ${SCHEMA}.slots in exclusive mode;
    if exists (select from ${SCHEMA}.slots where ends > p_now) then return; end if;
    select number into v_slot from ${SCHEMA}.slots order by ends, number limit 1;
    begin
      execute format('truncate ${SCHEMA}.ids_%s', v_slot);
      update ${SCHEMA}.slots set starts = p_now, ends = p_now + p_window / 2 where number = v_slot;
    exception when lock_not_available then
      -- The very first slot has not begun before.
      update ${SCHEMA}.slots set starts = case when starts = '-infinity' then p_now else starts end, ends = p_now + c_longer
        where number = (select number from ${SCHEMA}.slots order by starts desc, number limit 1);
    end;
  exception when lock_not_available then
    -- Somebody else is at it.
    return;
  end $$`;

class TurnWithoutWaiting1795800060000 implements MigrationInterface {
  readonly name = 'TurnWithoutWaiting1795800060000';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(TURN_LATER);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`drop function ${SCHEMA}.turn`);
    await runner.query(TURN);
  }
}

export const migrations = [CreateDeduplication1795700000000, TakeWhatIsForgotten1795800000000, TurnWithoutWaiting1795800060000];
