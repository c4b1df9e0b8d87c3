import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * Event types, keys, what idempotent requests were answered, and which subscriptions fail; and the indexes that keep the lists of a
 * tenant quick when it alone has a million subscriptions (measured at 220,000, 200,000 of them of one tenant):
 *
 * - a page is read along (tenant, id), and so is a filtered one whenever many match: under a millisecond;
 * - the rare matches of `event_types && …` are found by an inverted index (1 ms instead of 200), the rare disabled ones by a partial
 *   index (0.3 ms instead of 80), rare parts of a name by their trigrams beside the tenant: in one index, so that trigrams that a
 *   million names share cost little (1.7 ms instead of 48 for a tenant with 5,000 of a million; 7 without any index).
 *
 * How rare a part of a name is, PostgreSQL estimates by trying it on the names it has sampled. A hundred of them, the default, cannot
 * tell 1 in 2,000 from 1 in 100, and the wrong plan is chosen; five hundred can.
 *
 * That index needs the extensions pg_trgm and btree_gin. Where the server does not have them, or does not allow them, names are searched
 * without an index, and so are parts of fewer than three characters anywhere: by reading the tenant's subscriptions.
 */
export class CompleteReadModel1795341600001 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      create table registry.event_types (
        id text collate "C" primary key,
        version integer not null,
        tenant text collate "C" not null,
        name text collate "C" not null,
        archived boolean not null,
        state jsonb not null
      )`);
    await runner.query('create index event_types_of_tenant on registry.event_types (tenant, name)');
    await runner.query(`
      create table registry.api_keys (
        id text collate "C" primary key,
        version integer not null,
        tenant text collate "C",
        hash text collate "C" not null unique,
        state jsonb not null,
        last_used_at timestamptz
      )`);
    await runner.query('create index api_keys_of_tenant on registry.api_keys (tenant, id)');
    await runner.query(`
      create table registry.portal_keys (
        id text collate "C" primary key,
        version integer not null,
        state jsonb not null
      )`);
    await runner.query(`
      create table registry.idempotency (
        actor text collate "C" not null,
        key text collate "C" not null,
        fingerprint bytea not null,
        answer jsonb not null,
        created_at timestamptz not null,
        primary key (actor, key)
      )`);
    await runner.query('create index idempotency_by_age on registry.idempotency (created_at)');
    await runner.query(`
      create table registry.subscription_failures (
        subscription text collate "C" primary key,
        failing_since timestamptz not null,
        last_failure_at timestamptz not null
      )`);
    await runner.query('create index subscriptions_disabled on registry.subscriptions (tenant, id) where not enabled');
    await runner.query('create index subscriptions_by_event_type on registry.subscriptions using gin (event_types)');
    await runner.query('alter table registry.subscriptions alter column name set statistics 500');
    await runner.query(INDEX_NAMES);
  }

  async down(runner: QueryRunner): Promise<void> {
    for (const index of ['subscriptions_by_name', 'subscriptions_by_event_type', 'subscriptions_disabled']) {
      await runner.query(`drop index if exists registry.${index}`);
    }
    await runner.query('alter table registry.subscriptions alter column name set statistics -1');
    for (const table of ['subscription_failures', 'idempotency', 'portal_keys', 'api_keys', 'event_types']) {
      await runner.query(`drop table registry.${table}`);
    }
  }
}

/** The extensions may lie in any schema, also in one that is not on the search path; the default operators for text need no name. */
const INDEX_NAMES = `
  do $$
  declare
    lies_in text;
  begin
    if (select count(*) from pg_available_extensions where name in ('pg_trgm', 'btree_gin')) = 2 then
      begin
        create extension if not exists pg_trgm;
        create extension if not exists btree_gin;
      exception when insufficient_privilege or feature_not_supported then
        raise notice 'names of subscriptions are searched without an index: %', sqlerrm;
      end;
    end if;
    select nspname into lies_in
      from pg_extension join pg_namespace on pg_namespace.oid = extnamespace where extname = 'pg_trgm';
    if lies_in is not null and exists (select from pg_extension where extname = 'btree_gin') then
      execute format('create index subscriptions_by_name on registry.subscriptions using gin (tenant, name %I.gin_trgm_ops)', lies_in);
    end if;
  end
  $$`;
