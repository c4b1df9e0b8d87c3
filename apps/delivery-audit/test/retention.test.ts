import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import type { TenantState } from '@posthorn/contracts';
import { Client } from 'pg';
import { foldRows } from '../src/loading/fold.js';
import { Loader } from '../src/loading/loader.js';
import { createPartitions, statisticsTables } from '../src/loading/partitions.js';
import { rowsOfAccepted, rowsOfAttempted, rowsOfCancelled, rowsOfRejected, rowsOfRounds, rowsOfRouted } from '../src/loading/records.js';
import type { Rows } from '../src/loading/rows.js';
import { Retention } from '../src/retention/retention.js';
import { RetentionPolicy } from '../src/retention/retention-policy.js';
import { withinRetention } from '../src/retention/within-retention.js';
import { createDatabase, type TestDatabase } from './database.js';
import { accepted, askedRound, attempted, cancelled, envelopeOf, outcomeOf, rejected, rejectionOf, routed } from './records.js';

const DAY_MS = 86_400_000;
const NOW = Date.parse('2026-11-21T12:00:00.000Z');
const DAYS = ['2026-11-10', '2026-11-18', '2026-11-20'];
const ignore = (): void => undefined;
const silent = { debug: ignore, info: ignore, warn: ignore, error: ignore, fatal: ignore };

const tenantOf = (id: string, days: number): TenantState => ({
  kind: 'tenant',
  id,
  name: id,
  settings: { schema_policy: 'off', unknown_event_types: 'accept', retention_ms: days * DAY_MS },
  created_at: '2026-01-01T00:00:00.000Z',
  updated_at: '2026-01-01T00:00:00.000Z',
});

/** One of everything. */
const dayOfTenant = (tenant: string, day: string): Rows[] => {
  const at = `${day}T10:00:00.000Z`;
  const envelope = envelopeOf(`e-${day}`, at, { tenant });
  return [
    rowsOfAccepted(accepted(envelope).value),
    rowsOfRouted(routed(envelope, ['sub_1', 'sub_2']).value),
    rowsOfAttempted(attempted(outcomeOf(envelope, 'sub_1')).value),
    rowsOfRounds(askedRound(envelope, 'sub_1', 1, at).value),
    rowsOfCancelled(cancelled(envelope, 'sub_1', 1, at).value),
    rowsOfRejected(rejected(rejectionOf(`rej-${tenant}-${day}`, { tenant, rejected_at: at })).value),
  ];
};

describe('what has been kept long enough', () => {
  let database: TestDatabase;
  let loader: Loader;
  let policy: RetentionPolicy;
  let retention: Retention;

  const whose = async (table: string): Promise<string[]> =>
    (await database.query<{ told: string }>(`select tenant || ' ' || day as told from audit.${table} order by 1`)).map(({ told }) => told);
  const partitions = async (): Promise<string[]> =>
    (await database.query<{ relname: string }>(`select relname from pg_class where relnamespace = 'audit'::regnamespace and relname ~ '^(attempts|statistics_hours)_\\d{8}$' order by 1`)).map(({ relname }) => relname);

  beforeAll(async () => {
    database = await createDatabase();
    loader = new Loader(database.url);
  });
  afterEach(() => retention.close());
  afterAll(async () => {
    await loader.close();
    await database.drop();
  });

  const given = async (): Promise<void> => {
    policy = new RetentionPolicy(() => true);
    policy.tenants.changed(tenantOf('short', 2));
    policy.tenants.changed(tenantOf('long', 7));
    retention = new Retention({ databaseUrl: database.url, policy, log: silent });
    await database.empty();
    // Knows no partition that the test before has dropped.
    await loader.close();
    loader = new Loader(database.url);
    await loader.load(foldRows(['short', 'long', 'unknown'].flatMap((tenant) => DAYS.flatMap((day) => dayOfTenant(tenant, day)))));
  };

  it('goes: by whole days where it is over for all, by rows where it is over for some; and tomorrow is made', async () => {
    await given();
    const swept = await retention.sweep(NOW);
    const left = ['long 2026-11-18', 'long 2026-11-20', 'short 2026-11-20', 'unknown 2026-11-18', 'unknown 2026-11-20'];
    for (const table of ['events', 'decisions', 'rounds', 'cancellations', 'rejected_events']) expect([table, await whose(table)]).toEqual([table, left]);
    expect(await database.query('select count(*)::integer as deliveries from audit.deliveries')).toEqual([{ deliveries: 10 }]);
    expect(await database.query('select count(*)::integer as attempts from audit.attempts')).toEqual([{ attempts: 5 }]);
    expect(await partitions()).toEqual([
      'attempts_20261118', 'attempts_20261120', 'attempts_20261121', 'attempts_20261122', 'statistics_hours_20261121', 'statistics_hours_20261122',
    ]);
    expect(swept).toMatchObject({ deleted: 5 });
    expect(swept?.dropped).toBeGreaterThanOrEqual(8);
    expect(await retention.sweep(NOW)).toEqual({ dropped: 0, deleted: 0 });
  });

  it('goes after three days where it is told by the minute, whatever tenants want', async () => {
    await given();
    const client = new Client({ connectionString: database.url });
    await client.connect();
    for (const day of ['2026-11-17', '2026-11-18']) await createPartitions(client, 'audit', day, statisticsTables);
    await client.end();
    await retention.sweep(NOW);
    const days = await database.query<{ relname: string }>(
      `select relname from pg_class where relnamespace = 'audit'::regnamespace and relname ~ '^statistics_(minutes|hours)_2026111\\d$' order by 1`,
    );
    expect(days.map(({ relname }) => relname)).toEqual(['statistics_hours_20261117', 'statistics_hours_20261118', 'statistics_minutes_20261118']);
  });

  it('goes on all days of a tenant that was deleted', async () => {
    await given();
    policy.tenants.removed('long');
    await retention.sweep(NOW);
    expect(await whose('events')).toEqual(['short 2026-11-20', 'unknown 2026-11-20']);
  });

  it('does not come back with the records', async () => {
    await given();
    await retention.sweep(NOW);
    const again = foldRows(['short', 'long', 'unknown'].flatMap((tenant) => DAYS.flatMap((day) => dayOfTenant(tenant, day))));
    const { rows, tooOld } = withinRetention(again, policy, NOW);
    await loader.load(rows);
    expect(tooOld).toBe(4 * 8);
    expect(await whose('events')).toEqual(['long 2026-11-18', 'long 2026-11-20', 'short 2026-11-20', 'unknown 2026-11-18', 'unknown 2026-11-20']);
    expect(await partitions()).not.toContain('attempts_20261110');
    const recent = foldRows(dayOfTenant('short', '2026-11-21'));
    expect(withinRetention(recent, policy, NOW)).toEqual({ rows: recent, tooOld: 0 });
  });

  it('goes also where a process died between taking a partition out and dropping it', async () => {
    await given();
    await database.query('alter table audit.events detach partition audit.events_20261110');
    await retention.sweep(NOW);
    expect(await database.query(`select to_regclass('audit.events_20261110') as there`)).toEqual([{ there: null }]);
  });

  it('is seen to by one replica at a time', async () => {
    await given();
    const other = new Client(database.url);
    await other.connect();
    await other.query(`select pg_advisory_lock(hashtextextended('audit.retention', 0))`);
    expect(await retention.sweep(NOW)).toBeUndefined();
    await other.end();
    expect(await retention.sweep(NOW)).toMatchObject({ deleted: 5 });
  });

  it('stays while the registry has not been read', async () => {
    await given();
    retention = new Retention({ databaseUrl: database.url, policy: new RetentionPolicy(() => false), log: silent });
    expect(await retention.sweep(NOW)).toEqual({ dropped: 0, deleted: 0 });
    expect(await whose('events')).toHaveLength(9);
  });
});
