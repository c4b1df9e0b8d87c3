import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { eventually } from '@posthorn/testkit';
import { createWorld, idOf, type Service, type World } from './world.js';

const subscriptions = '/tenants/default/subscriptions';
const wanted = { name: 'First', url: 'https://example.com/in', event_types: ['invoice.*'] };

let world: World;
let service: Service;

beforeAll(async () => {
  world = await createWorld();
  service = await world.boot();
}, 60_000);
afterAll(() => world.destroy(), 60_000);

/** A moment that is after what was done and before what is done next: events are stamped in milliseconds. */
const moment = async (): Promise<string> => {
  const now = Date.now();
  await eventually(() => Date.now() > now + 1);
  return new Date(now + 1).toISOString();
};

describe('what became of a subscription', () => {
  let path: string;
  const moments: string[] = [];

  beforeAll(async () => {
    moments.push(await moment());
    const created = await service.call('POST', subscriptions, { ...wanted, description: 'D', filter: 'event.type == "a"', policy: { rate_limit: { per_second: 5 } } });
    path = `${subscriptions}/${idOf(created)}`;
    moments.push(await moment());
    await service.call('PATCH', path, { name: 'Second', description: null, filter: null, policy: { rate_limit: null, timeout: '5s' } });
    moments.push(await moment());
    await service.call('DELETE', path);
    moments.push(await moment());
  });

  it('is shown oldest first, with who did it and why, also when it is gone', async () => {
    const history = await service.call('GET', `${path}/history`);
    expect(history.body).toEqual({
      data: [
        {
          version: 1,
          type: 'SubscriptionCreated',
          at: expect.any(String),
          actor: 'admin',
          cause: expect.stringMatching(/^request /),
          changes: expect.objectContaining({ name: 'First', signature: 'v1', secret: '***', policy: expect.objectContaining({ timeout: '15s', rate_limit: { per_second: 5, burst: 5 } }) }),
        },
        {
          version: 2,
          type: 'SubscriptionUpdated',
          at: expect.any(String),
          actor: 'admin',
          cause: expect.any(String),
          changes: { name: 'Second', description: null, filter: null, policy: { rate_limit: null, timeout: '5s' } },
        },
        expect.objectContaining({ version: 3, type: 'SubscriptionDeleted', changes: {} }),
      ],
    });
  });

  it('is shown page by page', async () => {
    const first = await service.call('GET', `${path}/history?page_size=2`);
    expect(first.body['data']).toHaveLength(2);
    const second = await service.call('GET', `${path}/history?page_size=2&page_token=${String(first.body['next_page_token'])}`);
    expect(second.body).toEqual({ data: [expect.objectContaining({ version: 3 })] });
    await expect(service.call('GET', `${path}/history?page_token=abc`)).resolves.toMatchObject({ status: 422 });
  });

  it('can be seen as it was at any time', async () => {
    const answers = await Promise.all(moments.map((at) => service.call('GET', `${path}?at=${at}`)));
    expect(answers.map(({ status }) => status)).toEqual([404, 200, 200, 404]);
    expect(answers[1]?.body).toMatchObject({ name: 'First', description: 'D', filter: 'event.type == "a"', version: 1, policy: { rate_limit: { burst: 5 } } });
    expect(answers[2]?.body).toMatchObject({ name: 'Second', version: 2, policy: { timeout: '5s' } });
    for (const removed of ['description', 'filter', 'policy.rate_limit']) expect(answers[2]?.body).not.toHaveProperty(removed);
    await expect(service.call('GET', `${path}?at=yesterday`)).resolves.toMatchObject({ status: 422, body: { errors: [{ path: 'at' }] } });
  });

  it("is its tenant's alone", async () => {
    await service.call('POST', '/tenants', { id: 'other' });
    const foreign = path.replace('default', 'other');
    const answers = await Promise.all([`${foreign}/history`, `${foreign}?at=${moments[1]}`, `${subscriptions}/%00/history`].map((each) => service.call('GET', each)));
    expect(answers.map(({ status }) => status)).toEqual([404, 404, 404]);
  });
});

it('an expression that cannot be compiled is refused at its place', async () => {
  const filter = await service.call('POST', subscriptions, { ...wanted, filter: 'event.type ==\n ]' });
  expect(filter).toMatchObject({ status: 422, body: { errors: [{ path: 'filter', message: expect.stringMatching(/^line \d+, column \d+: /) }] } });
  const payload = { format: 'transform', transform: 'nothing.of.this' };
  const transform = await service.call('POST', subscriptions, { ...wanted, payload });
  expect(transform).toMatchObject({ status: 422, body: { errors: [{ path: 'payload.transform' }] } });
});
