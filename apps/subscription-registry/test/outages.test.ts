import { connect, type Socket } from 'node:net';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { isDatabaseAway } from '@posthorn/event-store';
import { eventually, Way } from '@posthorn/testkit';
import { DataSource } from 'typeorm';
import type { PostgresDriver } from 'typeorm/driver/postgres/PostgresDriver.js';
import { readingOptions } from '../src/core.js';
import { createWorld, idOf, positionOf, type Service, type World } from './world.js';

const path = '/tenants/default/subscriptions';
const wanted = { name: 'Outage', url: 'https://example.com/in', event_types: ['*'] };

let world: World;
let service: Service;
let toDatabase: Way;
const kafkaSockets = new Set<Socket>();
let isKafkaAway = false;

beforeAll(async () => {
  world = await createWorld();
  const url = new URL(world.databaseUrl);
  toDatabase = new Way({ host: url.hostname, port: Number(url.port) });
  url.host = `127.0.0.1:${await toDatabase.open()}`;
  // A broker names its own address, past any way to it: its connections are cut where they are made.
  service = await world.boot({ POSTHORN_DATABASE_URL: url.href }, {
    socketFactory: ({ host, port, onConnect }) => {
      const socket = connect({ host, port: isKafkaAway ? 1 : port }, onConnect);
      kafkaSockets.add(socket);
      return socket.on('close', () => void kafkaSockets.delete(socket));
    },
  });
}, 60_000);
afterAll(async () => {
  await world.destroy();
  await toDatabase.cut();
}, 60_000);

const isPublished = async (position: number): Promise<boolean> =>
  (await world.readTopic('registry.state')).some((record) => record.position >= position);

it('while PostgreSQL is away everything is 503 with Retry-After; when it is back everything works, and is published', async () => {
  const id = idOf(await service.call('POST', path, wanted));
  await toDatabase.cut();
  const answers = await Promise.all([
    service.call('GET', path),
    service.call('GET', `${path}/${id}`),
    service.call('GET', `${path}/${id}/history`),
    service.call('GET', '/tenants'),
    service.call('GET', '/api-keys'),
    service.call('POST', path, wanted),
    service.call('POST', path, wanted, { 'idempotency-key': 'away' }),
    service.call('POST', `${path}/batch`, { subscriptions: [wanted] }),
    service.call('PATCH', `${path}/${id}`, { name: 'B' }),
    service.call('PUT', '/tenants/default/event-types/invoice.paid', {}),
    service.call('POST', '/tenants', { id: 'away' }),
    service.call('DELETE', `${path}/${id}`),
  ]);
  expect(answers.map(({ status, headers, body }) => [status, body['code'], headers.get('retry-after')])).toEqual(
    answers.map(() => [503, 'unavailable', '1']),
  );
  const { status, reasons } = await service.health.readiness();
  expect([status, reasons?.map(({ name }) => name)]).toEqual(['not_ready', expect.arrayContaining(['database'])]);

  await toDatabase.open();
  await expect(service.call('GET', `${path}/${id}`)).resolves.toMatchObject({ status: 200, body: { name: 'Outage', version: 1 } });
  const created = await service.call('POST', path, wanted, { 'idempotency-key': 'away' });
  expect(created.status).toBe(201);
  await eventually(() => isPublished(positionOf(created)));
  await eventually(async () => (await service.health.readiness()).status === 'ready');
}, 30_000);

it('while Kafka is away a write is answered after a while, because it is stored; it is published when Kafka is back', async () => {
  isKafkaAway = true;
  for (const socket of kafkaSockets) socket.destroy(new Error('cut'));
  const created = await service.call('POST', path, wanted);
  expect(created.status).toBe(201);
  await expect(service.call('GET', `${path}/${idOf(created)}`)).resolves.toMatchObject({ status: 200 });
  expect(await isPublished(positionOf(created))).toBe(false);

  isKafkaAway = false;
  await eventually(() => isPublished(positionOf(created)));
  const next = await service.call('PATCH', `${path}/${idOf(created)}`, { name: 'Back' });
  expect(await isPublished(positionOf(next))).toBe(true);
}, 30_000);

it('a connection that says nothing any more is closed by who reads: the next question gets another', async () => {
  const url = new URL(world.databaseUrl);
  const way = new Way({ host: url.hostname, port: Number(url.port) });
  url.host = `127.0.0.1:${await way.open()}`;
  const source = await new DataSource(readingOptions(url.href, 300)).initialize();
  const pool = (source.driver as PostgresDriver).master as { readonly totalCount: number }; // of `pg`, which TypeORM leaves untyped
  await source.query('select 1');
  expect(pool.totalCount).toBe(1);
  way.stop();
  const error = await source.query('select 1').catch((reason: unknown) => reason);
  expect([isDatabaseAway(error), pool.totalCount]).toEqual([true, 0]);
  await way.cut();
  await source.destroy();
}, 30_000);
