import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { Page, RejectedEventView } from '@posthorn/contracts';
import { eventually } from '@posthorn/testkit';
import { rejected, rejectionOf } from './records.js';
import type { Answer, Request, Service } from './service.js';
import { World } from './world.js';

const DATA = '{"b": 1.10,  "a": 12345678901234567890}';
const JSON_TYPE = { 'content-type': 'application/json' };

type View = RejectedEventView & { readonly value?: string };
type Told = { readonly status: number; readonly headers: Headers; readonly text: string; readonly body: { readonly id: string; readonly code?: string; readonly detail?: string } };

const told = (answer: Answer): Told => answer; // what is asked here is answered in this form

const corrected = (id: string) => ({ headers: JSON_TYPE, body: `{"type":"invoice.paid","id":"${id}","data":${DATA}}` });

describe('a refused event', () => {
  let world: World;
  let ingestion: Service;

  beforeAll(async () => {
    world = await World.create();
    await world.publishTenant('default');
    await world.publishTenant('acme');
    ingestion = await world.startIngestion();
  }, 60_000);

  afterAll(() => world.close());

  const publish = async (id: string, { tenant = 'acme', query = '', ...request }: Request & { tenant?: string; query?: string } = {}) =>
    told(await world.service.ask(`/v1/tenants/${tenant}/rejected-events/${id}/publish${query}`, { method: 'POST', ...request }));

  /** Once the audit has it: the only one of those listed there that is meant. */
  const refusedOne = async (path: string, isMeant: (one: View) => boolean = () => true): Promise<View> => {
    let found: View | undefined;
    await eventually(async () => {
      const { data } = (await world.service.get(path)).body as Page<View>;
      found = data.find(isMeant);
      return found !== undefined;
    });
    return found as View; // or `eventually` has thrown
  };
  const read = async (id: string, tenant = 'acme') => (await world.service.get(`/v1/tenants/${tenant}/rejected-events/${id}`)).body as View;
  const eventOf = async (id: string, tenant = 'acme'): Promise<string> => {
    let text = '';
    await eventually(async () => {
      const answer = await world.service.get(`/v1/tenants/${tenant}/events/${id}`);
      text = answer.text;
      return answer.status === 200;
    });
    return text;
  };
  /** Refused over REST, by the ingestion. */
  const refuse = async (body: string, headers: Record<string, string> = JSON_TYPE, tenant = 'acme'): Promise<View> => {
    const known = new Set(((await world.service.get(`/v1/tenants/${tenant}/rejected-events`)).body as Page<View>).data.map(({ id }) => id));
    expect((await ingestion.ask(`/v1/tenants/${tenant}/events`, { method: 'POST', headers, body })).status).toBeGreaterThanOrEqual(400);
    return refusedOne(`/v1/tenants/${tenant}/rejected-events`, ({ id }) => !known.has(id));
  };

  it('is published as it came, byte for byte, once there is nothing against it', async () => {
    const { id, reason } = await refuse(`{"type":"invoice.paid","id":"e-1","data":${DATA}}`, JSON_TYPE, 'late');
    expect(reason.code).toBe('unknown_tenant');
    await world.publishTenant('late');
    const answer = await publish(id, { tenant: 'late' });
    expect([answer.status, answer.body]).toEqual([202, { id: 'e-1' }]);
    expect(await eventOf('e-1', 'late')).toContain(`"data":${DATA}}`);
    expect(await read(id, 'late')).toMatchObject({ published_as: 'e-1', published_at: expect.stringMatching(/Z$/) });
  });

  it('is published as it came over Kafka, its attributes with it', async () => {
    const headers = { ce_type: 'invoice.paid', ce_tenant: 'ghost', ce_id: 'e-2', ce_source: '/s', ce_subject: 'é "100%"', 'content-type': 'text/plain' };
    await world.producer.send({ topic: world.kafka.topic('events.inbound'), value: 'bytes', headers: { ...headers, ce_specversion: '1.0' } });
    const { id } = await refusedOne('/v1/tenants/ghost/rejected-events');
    await world.publishTenant('ghost');
    expect(await publish(id, { tenant: 'ghost' })).toMatchObject({ status: 202, body: { id: 'e-2' } });
    expect(JSON.parse(await eventOf('e-2', 'ghost'))).toMatchObject({
      type: 'invoice.paid',
      source: '/s',
      subject: 'é "100%"',
      content_type: 'text/plain',
      data_base64: Buffer.from('bytes').toString('base64'),
    });
  });

  it('is published corrected, in any form; what is still wrong is told as the ingestion tells it', async () => {
    const { id } = await refuse(`{"data":${DATA}}`);
    const refused = await publish(id, { headers: JSON_TYPE, body: '{"type":"Invoice Paid","data":1}' });
    expect(refused).toMatchObject({ status: 422, body: { code: 'invalid', errors: [{ path: 'type' }] } });
    expect(refused.headers.get('content-type')).toContain('application/problem+json');
    expect(await publish(id, { headers: { 'content-type': 'application/xml' }, body: '<a/>' })).toMatchObject({ status: 415 });
    expect(await read(id)).not.toHaveProperty('published_as');

    const binary = { 'ce-type': 'invoice.paid', 'ce-id': 'e-3', 'content-type': 'application/json' };
    expect(await publish(id, { headers: binary, body: DATA })).toMatchObject({ status: 202, body: { id: 'e-3' } });
    expect(await eventOf('e-3')).toContain(`"data":${DATA}}`);
    expect(await read(id)).toMatchObject({ published_as: 'e-3', value: `{"data":${DATA}}` });
  });

  it('is published once, or again by force', async () => {
    const { id } = await refuse('{"data":4}');
    expect(await publish(id, corrected('e-4'))).toMatchObject({ status: 202 });
    expect(await publish(id, corrected('e-5'))).toMatchObject({ status: 409, body: { code: 'conflict', detail: expect.stringContaining('e-4') } });
    expect(await publish(id, { ...corrected('e-5'), query: '?force=true' })).toMatchObject({ status: 202, body: { id: 'e-5' } });
    expect(await read(id)).toMatchObject({ published_as: 'e-5' });
    expect(await publish(id, { ...corrected('e-6'), query: '?force=perhaps' })).toMatchObject({ status: 422, body: { code: 'invalid' } });
  });

  it('is one event also when it was published and that could not be noted', async () => {
    const { id } = await refuse('{"data":5}');
    const without = { headers: JSON_TYPE, body: '{"type":"a","data":5}' };
    const first = await publish(id, without);
    await world.database.query('update audit.rejected_events set published_as = null, published_at = null where id = $1', [id]);
    expect(await publish(id, without)).toMatchObject({ status: 202, body: { id: first.body.id } });
    expect((await publish(id, { ...without, query: '?force=true' })).body.id).not.toBe(first.body.id);
  });

  it('is published by who may publish, with the key of who asks', async () => {
    const { id } = await refuse('{"data":7}');
    const { key: reader } = await world.publishKey({ scopes: ['audit:read', 'audit:write'], tenant: 'acme' });
    const { key: ofOther } = await world.publishKey({ scopes: ['events:write'], tenant: 'default' });
    const { key: writer } = await world.publishKey({ scopes: ['events:write'], tenant: 'acme' });
    const event = corrected('e-7');
    expect((await publish(id, { ...event, key: undefined })).status).toBe(401);
    expect((await publish(id, { ...event, key: reader })).status).toBe(403);
    expect((await publish(id, { ...event, key: ofOther })).status).toBe(404);
    expect((await publish(id, { ...event, key: ofOther, tenant: 'default' })).status).toBe(404);
    expect(await read(id)).not.toHaveProperty('published_as');
    expect((await publish(id, { ...event, key: writer })).status).toBe(202);
  });

  it('that is nobody’s is published for a tenant by who sees all', async () => {
    await world.producer.send({ topic: world.kafka.topic('events.inbound'), value: 'not JSON', headers: {} });
    const { id } = await refusedOne('/v1/rejected-events', ({ reason }) => reason.code === 'malformed');
    const event = corrected('e-8');
    const { key } = await world.publishKey({ scopes: ['events:write'], tenant: 'acme' });
    expect((await publish(id, { ...event, key })).status).toBe(404);
    expect(await publish(id, event)).toMatchObject({ status: 202, body: { id: 'e-8' } });
    expect((await world.service.get(`/v1/rejected-events/${id}`)).body).toMatchObject({ published_as: 'e-8' });
  });

  it('of which not all is kept is published corrected only', async () => {
    await world.publish([rejected(rejectionOf('rej_cut', { tenant: 'acme', truncated: true }))]);
    await refusedOne('/v1/tenants/acme/rejected-events', ({ id }) => id === 'rej_cut');
    expect(await publish('rej_cut')).toMatchObject({ status: 409, body: { code: 'conflict', detail: expect.stringContaining('beginning') } });
    expect(await publish('rej_cut', corrected('e-9'))).toMatchObject({ status: 202 });
  });

  it('stays as it is while nobody takes events in', async () => {
    const { id } = await refuse('{"data":10}');
    await ingestion.stop();
    const answer = await publish(id, corrected('e-10'));
    expect(answer).toMatchObject({ status: 503, body: { code: 'unavailable' } });
    expect(answer.headers.get('retry-after')).toBe('1');
    expect(await read(id)).not.toHaveProperty('published_as');
  });
});
