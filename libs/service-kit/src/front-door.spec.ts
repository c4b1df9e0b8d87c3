import { once } from 'node:events';
import { connect } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { Gauge, Registry } from 'prom-client';
import { FrontDoor } from './front-door.js';
import { Health } from './health.js';
import { createLog } from './log.js';

const lines: string[] = [];
const log = createLog('gateway', 'info', { write: (line) => void lines.push(line) });

const collect = (): never => {
  throw new Error('no reading');
};

let health: Health;
let metrics: Registry;
let door: FrontDoor;
let url: string;

beforeEach(async () => {
  health = new Health();
  metrics = new Registry();
  door = new FrontDoor({ service: 'gateway', version: '1.2.3', health, metrics, log });
  url = `http://127.0.0.1:${await door.open(0, '127.0.0.1')}`;
});
afterEach(() => door.close());

describe('FrontDoor', () => {
  it('tells that it is alive, ready or why not, and its metrics; with a query too', async () => {
    expect(await (await fetch(`${url}/healthz?verbose`)).json()).toMatchObject({ status: 'ok', service: 'gateway', version: '1.2.3' });
    expect(await (await fetch(`${url}/readyz`)).json()).toEqual({ status: 'ready' });
    health.addReadiness('kafka', () => 'away');
    const ready = await fetch(`${url}/readyz`);
    expect([ready.status, await ready.json()]).toEqual([503, { status: 'not_ready', reasons: [{ name: 'kafka', reason: 'away' }] }]);
    new Gauge({ name: 'posthorn_x', help: 'x', registers: [metrics] }).set(7);
    const told = await fetch(`${url}/metrics`);
    expect(told.headers.get('content-type')).toMatch(/^text\/plain/);
    expect(await told.text()).toContain('posthorn_x 7');
    const open = await fetch(`${url}/metrics`, { headers: { accept: 'application/openmetrics-text;version=1.0.0,text/plain;q=0.5' } });
    expect(open.headers.get('content-type')).toMatch(/^application\/openmetrics-text/);
    expect(await open.text()).toMatch(/posthorn_x\{service="gateway"\} 7\n# EOF\n$/);
  });

  it('answers HEAD, and no other method', async () => {
    const head = await fetch(`${url}/healthz`, { method: 'HEAD' });
    expect([head.status, await head.text()]).toEqual([200, '']);
    const post = await fetch(`${url}/readyz`, { method: 'POST' });
    expect([post.status, post.headers.get('allow')]).toEqual([405, 'GET, HEAD']);
  });

  it('survives a metric that cannot be read', async () => {
    metrics.registerMetric(new Gauge({ name: 'posthorn_broken', help: 'x', collect, registers: [] }));
    const told = await fetch(`${url}/metrics`);
    expect([told.status, await told.json()]).toEqual([500, expect.objectContaining({ code: 'internal' })]);
    expect(lines.at(-1)).toContain('no reading');
    expect((await fetch(`${url}/healthz`)).status).toBe(200);
  });

  it('passes the rest on once the application is admitted, and not what is its own', async () => {
    expect((await fetch(`${url}/v1`)).status).toBe(503);
    door.admit((request, response) => response.end(request.url));
    expect(await (await fetch(`${url}/healthz2`)).text()).toBe('/healthz2');
    expect((await fetch(`${url}/healthz`)).headers.get('content-type')).toBe('application/json');
  });

  it('closes although a client keeps its connection', async () => {
    const socket = connect(Number(new URL(url).port), '127.0.0.1');
    socket.write('GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n');
    await once(socket, 'data');
    const ended = once(socket, 'end');
    await door.close();
    await ended;
    await expect(fetch(`${url}/healthz`)).rejects.toThrow('fetch failed');
  });

  it('closes although a client has a connection ready on which it has asked nothing', async () => {
    const socket = connect(Number(new URL(url).port), '127.0.0.1');
    await once(socket, 'connect');
    await fetch(`${url}/healthz`);
    const startedMs = performance.now();
    await door.close();
    expect(performance.now() - startedMs).toBeLessThan(5_000);
    socket.destroy();
  });

  it('refuses a port that is taken', async () => {
    const second = new FrontDoor({ service: 'x', version: '1', health, metrics, log });
    await expect(second.open(Number(new URL(url).port), '127.0.0.1')).rejects.toMatchObject({ code: 'EADDRINUSE' });
  });
});
