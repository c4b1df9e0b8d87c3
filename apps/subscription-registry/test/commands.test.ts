import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { Encrypted, PortalKeyState, SubscriptionState } from '@posthorn/contracts';
import { EventStore, type RecordedEvent, type StreamPlace } from '@posthorn/event-store';
import { encryptionKeys, SecretBox } from '@posthorn/service-kit';
import { Progress } from '../src/commands/progress.js';
import { rebuild } from '../src/commands/rebuild.js';
import { readModels } from '../src/read-models.js';
import {
  changeSubscription,
  createApiKey,
  createCommandWorld,
  createPortalKey,
  createSubscriptions,
  createTenant,
  subscriptionsIn,
  type CommandWorld,
} from './command-world.js';

let world: CommandWorld;

beforeAll(async () => {
  world = await createCommandWorld();
}, 60_000);
afterAll(() => world.destroy(), 60_000);

const box = new SecretBox([['k1', randomBytes(32)]]);
const seal = (secret: string): Encrypted => box.encrypt(secret);

/** Everything the read model's tables hold, and how they are made. */
const tablesNow = async (): Promise<unknown> => {
  const rows = await Promise.all(
    readModels.map(async ({ table }) => (await world.pool.query<object>(`select * from registry.${table} order by id`)).rows),
  );
  const { rows: indexes } = await world.pool.query<object>(
    `select indexname, indexdef from pg_indexes where schemaname = 'registry' order by indexname`,
  );
  const { rows: constraints } = await world.pool.query<object>(
    `select conname, conrelid::regclass::text as table, pg_get_constraintdef(oid) as definition from pg_constraint
     where connamespace = 'registry'::regnamespace and contype <> 'n' order by 2, 1`,
  );
  const { rows: columns } = await world.pool.query<object>(
    `select attrelid::regclass::text as table, attname, atttypid::regtype::text as type, attnotnull, attstattarget, attcollation
     from pg_attribute join pg_class on pg_class.oid = attrelid
     where relnamespace = 'registry'::regnamespace and relkind = 'r' and attnum > 0 and not attisdropped order by 1, attnum`,
  );
  return { rows, indexes, constraints, columns };
};

describe('rebuild', () => {
  let ids: readonly string[];

  beforeAll(async () => {
    await createTenant(world, 'default');
    await createTenant(world, 'acme');
    await createApiKey(world, 'key_1');
    await createApiKey(world, 'key_2');
    await world.pool.query(`update registry.api_keys set last_used_at = '2026-01-02T03:04:05Z' where id = 'key_1'`);
    ids = await createSubscriptions(world, 30, seal);
    await changeSubscription(world, ids[0], { kind: 'update', changes: { name: 'Other', event_types: ['*'] } });
    await changeSubscription(world, ids[1], { kind: 'disable', reason: 'gone' });
    await changeSubscription(world, ids[2], { kind: 'delete' });
  });

  it('finds nothing to complain of in what the registry has written itself', async () => {
    await expect(world.command('rebuild --verify')).resolves.toMatchObject({
      exit: 0,
      out: [expect.stringMatching(/^compared .*subscriptions.*: 37 events in /)],
      err: [],
    });
  });

  it('tells with --verify what differs, and mends it without', async () => {
    const before = await tablesNow();
    await world.pool.query(`update registry.subscriptions set name = 'forged' where id = $1`, [ids[3]]);
    await world.pool.query(`delete from registry.subscriptions where id = $1`, [ids[4]]);
    await world.pool.query(`insert into registry.tenants (id, version, state) values ('ghost', 1, '{}')`);
    const broken = await tablesNow();
    const { exit, out } = await world.command('rebuild --verify');
    const differences = ['surplus in tenants: ghost', `different in subscriptions: ${ids[3]}`, `missing in subscriptions: ${ids[4]}`];
    expect([exit, out.slice(1).sort()]).toEqual([1, differences.sort()]);
    await expect(tablesNow()).resolves.toEqual(broken);

    await expect(world.command('rebuild')).resolves.toMatchObject({ exit: 0, out: [expect.stringMatching(/^rebuilt .*: 37 events in /)] });
    await expect(tablesNow()).resolves.toEqual(before);
    await expect(world.command('rebuild --verify')).resolves.toMatchObject({ exit: 0 });
  });

  it('shows twenty differences, and that there are more', async () => {
    await world.pool.query('delete from registry.subscriptions');
    const { exit, out } = await world.command('rebuild --verify');
    expect([exit, out.length, out.at(-1)]).toEqual([1, 22, '… and more']);
    await expect(world.command('rebuild')).resolves.toMatchObject({ exit: 0 });
  });

  it('loses nothing that is changed while it folds', async () => {
    let born: string | undefined;
    const changeMuch = async (): Promise<void> => {
      await changeSubscription(world, ids[5], { kind: 'update', changes: { name: 'Meanwhile' } });
      await changeSubscription(world, ids[6], { kind: 'delete' });
      [born] = await createSubscriptions(world, 1, seal, { name: 'Newborn' });
    };
    /** Has read its last page when the changes are made. */
    class Interrupted extends EventStore {
      override async readByStream(after: StreamPlace, limit: number): Promise<readonly RecordedEvent[]> {
        const page = await super.readByStream(after, limit);
        if (page.length > 0) await changeMuch();
        return page;
      }
    }
    await rebuild({
      pool: world.pool,
      store: new Interrupted(world.pool, 'registry'),
      readModels,
      progress: new Progress('events', () => undefined),
    });
    const rows = await subscriptionsIn(world);
    expect(rows.get(ids[5] ?? '')).toMatchObject({ name: 'Meanwhile' });
    expect(rows.has(ids[6] ?? '')).toBe(false);
    expect(rows.get(born ?? '')).toMatchObject({ name: 'Newborn' });
    await expect(world.command('rebuild --verify')).resolves.toMatchObject({ exit: 0 });
  });

  it('has let go of its lock when it has ended, while its connections have not', async () => {
    const releases: (() => void)[] = [];
    const lingering = new Proxy(world.pool, {
      get: (pool, name) => {
        if (name !== 'connect') return Reflect.get(pool, name);
        return async () => {
          const client = await pool.connect();
          const release = client.release.bind(client, true);
          releases.push(release);
          return Object.assign(client, { release: () => undefined });
        };
      },
    });
    try {
      await rebuild({ pool: lingering, store: world.store, readModels, progress: new Progress('events', () => undefined) });
      await expect(world.command('rebuild')).resolves.toMatchObject({ exit: 0 });
    } finally {
      for (const release of releases) release();
    }
  });

  it('leaves nothing behind when it fails, and is carried out once at a time', async () => {
    const before = await tablesNow();
    await world.store.append([{ stream: 'riddle/1', expectedVersion: 0, events: [{ type: 'Asked', data: {}, at: new Date().toISOString() }] }], { actor: 'tester' }, () => Promise.resolve());
    await expect(world.command('rebuild')).resolves.toMatchObject({ exit: 1, err: ['posthorn-registry rebuild: unknown stream riddle/1'] });
    await world.pool.query(`delete from registry.events where stream = 'riddle/1'`);
    await expect(tablesNow()).resolves.toEqual(before);

    const other = await world.pool.connect();
    await other.query(`select pg_advisory_lock(hashtextextended('registry.rebuild', 0))`);
    await expect(world.command('rebuild')).resolves.toMatchObject({ exit: 1, err: [expect.stringContaining('under way already')] });
    other.release(true);
  });
});

const stateOf = (text = '{}'): unknown => (JSON.parse(text) as { state: unknown }).state;

describe('republish', () => {
  it('fills topics that were lost with what they held', async () => {
    const [kept, gone] = await createSubscriptions(world, 2, seal, { name: 'Published' });
    await changeSubscription(world, kept, { kind: 'disable', reason: 'by_user' });
    const prefix = world.env['POSTHORN_TOPIC_PREFIX'] ?? '';
    const said = await world.command('republish');
    expect(said).toMatchObject({ exit: 0, out: [expect.any(String), expect.stringMatching(/^no registry is running/)] });
    const first = await world.relayTo(prefix);
    await first.waitUntilRelayed(await world.store.lastPosition(), 10_000);
    await changeSubscription(world, gone, { kind: 'delete' });
    await first.waitUntilRelayed(await world.store.lastPosition(), 10_000);
    const before = await world.statesIn(prefix);
    expect([before.has(kept ?? ''), before.has(gone ?? '')]).toEqual([true, false]);
    await first.close();

    // Other topics, with nothing in them: to the relay's checkpoint they look as if they held everything.
    const lost = `${prefix}.lost`;
    await expect(world.command('republish --wait=false', { POSTHORN_TOPIC_PREFIX: lost })).resolves.toMatchObject({ exit: 0 });
    await expect(world.statesIn(lost)).resolves.toEqual(new Map());
    await world.relayTo(lost);
    const done = await world.command('republish', { POSTHORN_TOPIC_PREFIX: lost });
    expect(done).toMatchObject({ exit: 0, out: [expect.any(String), `published up to position ${await world.store.lastPosition()}`] });
    const after = await world.statesIn(lost);
    expect([...after.keys()].sort()).toEqual([...before.keys()].sort());
    for (const [id, text] of before) expect([id, stateOf(after.get(id))]).toEqual([id, stateOf(text)]);
  }, 30_000);
});

describe('reencrypt', () => {
  const [one, two] = [randomBytes(32).toString('base64'), randomBytes(32).toString('base64')];
  const old = encryptionKeys.parse(`one:${one}`);
  const sealOld = (secret: string): Encrypted => old.encrypt(secret);
  const rotating = { POSTHORN_ENCRYPTION_KEYS: `two:${two},one:${one}` };
  const onlyNew = encryptionKeys.parse(`two:${two}`);
  const secretsOf = ({ signing_secrets: [newest], authentication }: SubscriptionState): readonly unknown[] => [
    newest && onlyNew.decrypt(newest),
    authentication.type === 'bearer' && onlyNew.decrypt(authentication.token),
  ];

  beforeAll(async () => {
    await world.pool.query('truncate registry.events, registry.subscriptions, registry.tenants, registry.api_keys, registry.idempotency');
  });

  it('makes the old key superfluous', async () => {
    const ids = await createSubscriptions(world, 1_001, sealOld, { authentication: { type: 'bearer', token: sealOld('let me in') } });
    await world.pool.query(`insert into registry.idempotency (actor, key, fingerprint, answer, created_at) values ('a', 'k', '', $1, now())`, [
      sealOld('{"answer":42}'),
    ]);
    await createPortalKey(world, 'pky_1', sealOld('the other half'));
    await expect(world.command('reencrypt', rotating)).resolves.toMatchObject({
      exit: 0,
      out: [expect.stringMatching(/^encrypted anew: 1,003; looked at /), expect.any(String)],
    });

    const rows = await subscriptionsIn(world);
    for (const id of ids) {
      const state = rows.get(id);
      expect(state && secretsOf(state)).toEqual([`whsec_${id}`, 'let me in']);
    }
    const { rows: answers } = await world.pool.query<{ answer: Encrypted }>('select answer from registry.idempotency');
    expect(answers.map(({ answer }) => onlyNew.decrypt(answer))).toEqual(['{"answer":42}']);
    const { rows: keys } = await world.pool.query<{ state: PortalKeyState }>('select state from registry.portal_keys');
    expect(keys.map(({ state }) => onlyNew.decrypt(state.private_key))).toEqual(['the other half']);
    const history = await world.store.read(`subscription/${ids[0]}`);
    expect(history.at(-1)).toMatchObject({ version: 2, type: 'SubscriptionReencrypted', actor: 'posthorn-registry reencrypt' });

    const last = await world.store.lastPosition();
    await expect(world.command('reencrypt', rotating)).resolves.toMatchObject({ exit: 0, out: [expect.stringMatching(/^encrypted anew: 0;/), expect.any(String)] });
    await expect(world.store.lastPosition()).resolves.toBe(last);
    await expect(world.command('rebuild --verify')).resolves.toMatchObject({ exit: 0 });
  }, 30_000);

  it('names what it has no key for, does the rest, and fails', async () => {
    const [lost] = await createSubscriptions(world, 1, (secret) => new SecretBox([['three', randomBytes(32)]]).encrypt(secret));
    const [kept] = await createSubscriptions(world, 1, sealOld);
    const { exit, out, err } = await world.command('reencrypt', rotating);
    expect([exit, out[0], err]).toEqual([1, expect.stringMatching(/^encrypted anew: 1;/), [`subscription ${lost}: no encryption key has the id three`]]);
    const rows = await subscriptionsIn(world);
    expect(rows.get(kept ?? '')?.signing_secrets.map(({ key_id }) => key_id)).toEqual(['two']);
  });
});

describe('the command line', () => {
  it('shows how it is used, to whoever asks and to whoever is wrong', async () => {
    await expect(world.command('--help')).resolves.toMatchObject({ exit: 0, out: [expect.stringMatching(/^Usage: posthorn-registry/)] });
    await expect(world.command('destroy')).resolves.toMatchObject({ exit: 2, err: [expect.stringContaining('no command destroy')], out: [] });
  });

  it('names what the configuration lacks', async () => {
    await expect(world.command('rebuild', { POSTHORN_DATABASE_URL: undefined })).resolves.toMatchObject({
      exit: 2,
      err: [expect.stringContaining('POSTHORN_DATABASE_URL')],
    });
  });

  it('fails when the database is away', async () => {
    const away = { POSTHORN_DATABASE_URL: 'postgres://nobody@127.0.0.1:1/nowhere' };
    await expect(world.command('rebuild', away)).resolves.toMatchObject({ exit: 1, err: [expect.stringContaining('ECONNREFUSED')] });
  });
});
