import { once } from 'node:events';
import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { SubscriptionState } from '@posthorn/contracts';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { MissedDeliveries } from './missed-deliveries.js';

let answer: RequestListener;
let audit: Server;
let missed: MissedDeliveries;
let asked: (string | undefined)[];

beforeEach(async () => {
  asked = [];
  audit = createServer((request, response) => {
    asked.push(request.url, request.headers.authorization);
    answer(request, response);
  }).listen(0, '127.0.0.1');
  await once(audit, 'listening');
  missed = new MissedDeliveries({
    auditUrl: `http://127.0.0.1:${(audit.address() as AddressInfo).port}`,
    tokenFor: async (tenant) => `token-of-${tenant}`,
    log: { info: () => undefined },
    timeoutMs: 200,
  });
});
afterEach(() => {
  audit.closeAllConnections();
  audit.close();
});

const disabled = { id: 'sub_1', tenant: 'acme', event_types: ['invoice.*', 'user.created'], disabled_at: '2026-11-20T00:00:00.000Z' };
// Nothing else of it is looked at.
const subscription = disabled as SubscriptionState;

describe('what was missed', () => {
  it('is what the audit counts, and comes with the call that sends it', async () => {
    answer = (_request, response) => response.end(JSON.stringify({ deliveries: 17, at_least: false }));
    const told = await missed.of(subscription);
    expect(told).toMatchObject({
      from: disabled.disabled_at,
      deliveries: 17,
      at_least: false,
      replay: { method: 'POST', path: '/v1/tenants/acme/replays', body: { from: disabled.disabled_at, to: told?.to, event_types: disabled.event_types, to_subscription: 'sub_1' } },
    });
    const url = new URL(asked[0] ?? '', 'http://audit');
    expect([url.pathname, Object.fromEntries(url.searchParams), asked[1]]).toEqual([
      '/v1/tenants/acme/stats/missed',
      { from: disabled.disabled_at, to: told?.to, event_types: 'invoice.*,user.created' },
      'Bearer token-of-acme',
    ]);
  });

  it.each<[string, RequestListener]>([
    ['is away', (request) => request.socket.destroy()],
    ['does not answer in time', () => undefined],
    ['refuses', (_request, response) => response.writeHead(503).end('{}')],
    ['says something else', (_request, response) => response.end('{"deliveries":"many"}')],
  ])('is not told when the audit %s', async (_what, listener) => {
    answer = listener;
    await expect(missed.of(subscription)).resolves.toBeUndefined();
  });

  it('is not asked for of one that was never disabled', async () => {
    const { disabled_at: _never, ...enabled } = disabled;
    await expect(missed.of(enabled as SubscriptionState)).resolves.toBeUndefined();
    expect(asked).toEqual([]);
  });
});
