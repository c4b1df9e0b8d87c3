import { describe, expect, it, jest } from '@jest/globals';
import { freePort } from '@posthorn/testkit';
import { Child } from './spec-support/child.js';

/** Each test starts a process or two that compile their sources; what they take of a machine that has much else to do is no promise. */
jest.setTimeout(30_000);

const KEY = 'a-key-of-16-chars-or-more';
const env = { PORT: '0', HOST: '127.0.0.1', OWN: 'x', POSTHORN_ADMIN_API_KEY: KEY };

const running = async (extra: Readonly<Record<string, string>> = {}): Promise<{ child: Child; url: string }> => {
  const child = new Child('service.ts', { ...env, ...extra });
  const { port } = await child.line('listening');
  return { child, url: `http://127.0.0.1:${String(port)}` };
};

/** As soon as something listens there; fails when the process ends before. */
const firstAnswer = async (child: Child, url: string): Promise<Response> => {
  for (;;) {
    try {
      return await fetch(url);
    } catch (error) {
      if (child.process.exitCode !== null) throw error;
      await new Promise(setImmediate);
    }
  }
};

describe('runService', () => {
  it('lists every error of the configuration and exits 1', async () => {
    const child = new Child('service.ts', { PORT: 'x', LOG_LEVEL: 'loud' });
    expect(await child.exitCode).toBe(1);
    expect(child.stderr).toMatch(/^dispatcher: The configuration has 3 errors:\n( {2}(PORT|LOG_LEVEL|OWN) +.+\n){3}$/);
    expect(child.lines).toEqual([]);
  });

  it('says where it listens, serves, and on SIGTERM finishes what is under way before it closes its parts', async () => {
    const { child, url } = await running({ OTEL_EXPORTER_OTLP_HEADERS: 'authorization=hunter2' });
    expect(await child.line('listening')).toMatchObject({
      version: expect.any(String),
      startup_ms: expect.any(Number),
      config: { OWN: 'x', HOST: '127.0.0.1', LOG_LEVEL: 'info', POSTHORN_ADMIN_API_KEY: '[redacted]', OTEL_EXPORTER_OTLP_HEADERS: '[redacted]' },
    });
    expect(await (await fetch(`${url}/readyz`)).json()).toEqual({ status: 'ready' });
    const slow = fetch(`${url}/v1/slow`, { headers: { authorization: `Bearer ${KEY}` } });
    await child.line('slow request under way');
    child.process.kill('SIGTERM');
    expect(await (await slow).json()).toEqual({ answered: true });
    expect(await child.exitCode).toBe(0);
    expect(child.messages.slice(-7)).toEqual([
      'shutting down',
      'request',
      'closed: http',
      'closed: application',
      'closed: second part',
      'closed: first part',
      'shut down',
    ]);
    expect(Number(child.lines.at(-1)?.['duration_ms'])).toBeLessThan(3_000);
  });

  it('is alive, and not ready, while its parts are still being built', async () => {
    const port = await freePort('127.0.0.1');
    const child = new Child('service.ts', { ...env, PORT: String(port), OWN: 'slow to build' });
    const url = `http://127.0.0.1:${port}`;
    const alive = await firstAnswer(child, `${url}/healthz`);
    expect(await alive.json()).toMatchObject({ status: 'ok', service: 'dispatcher', version: expect.any(String), uptime_seconds: expect.any(Number) });
    const ready = await fetch(`${url}/readyz`);
    expect([ready.status, await ready.json()]).toEqual([503, { status: 'not_ready', reasons: [{ name: 'process', reason: 'starting' }] }]);
    const early = await fetch(`${url}/v1/slow`, { method: 'POST', body: 'x' });
    expect([early.status, early.headers.get('retry-after'), await early.json()]).toEqual([503, '1', expect.objectContaining({ code: 'unavailable' })]);
    await child.line('building');
    child.process.stdin.write('go on\n');
    await child.line('listening');
    expect((await fetch(`${url}/readyz`)).status).toBe(200);
    child.process.kill('SIGTERM');
    expect(await child.exitCode).toBe(0);
  });

  it('obeys a signal while its parts are still being built', async () => {
    const child = new Child('service.ts', { ...env, OWN: 'slow to build' });
    await child.line('building');
    child.process.kill('SIGTERM');
    expect(await child.exitCode).toBe(0);
    expect(child.messages.slice(-3)).toEqual(['closed: second part', 'closed: first part', 'shut down']);
  });

  it('says why it could not start, closes what it has opened, and exits 1', async () => {
    const child = new Child('service.ts', { ...env, OWN: 'unbuildable' });
    expect(await child.exitCode).toBe(1);
    expect(child.lines[0]).toMatchObject({ level: 'fatal', msg: 'could not start', err: { message: 'cannot be built' } });
    expect(child.messages).toContain('closed: first part');
  });

  it('says that its port is taken', async () => {
    const { child, url } = await running();
    const second = new Child('service.ts', { ...env, PORT: new URL(url).port });
    expect(await second.exitCode).toBe(1);
    expect(second.lines[0]).toMatchObject({ level: 'fatal', err: { code: 'EADDRINUSE' } });
    child.process.kill('SIGTERM');
    await child.exitCode;
  });

  it('warns when nobody will be let in', async () => {
    const { child } = await running({ POSTHORN_ADMIN_API_KEY: '' });
    expect(child.messages[0]).toMatch(/^POSTHORN_ADMIN_API_KEY is not set/);
    child.process.kill('SIGTERM');
    await child.exitCode;
  });

  it('watches over Kafka where there is one: away, it is the reason for not being ready', async () => {
    const nobody = `127.0.0.1:${await freePort('127.0.0.1')}`;
    const { child, url } = await running({ WITH_KAFKA: '1', POSTHORN_KAFKA_BROKERS: nobody });
    const ready = await fetch(`${url}/readyz`);
    expect([ready.status, await ready.json()]).toEqual([
      503,
      { status: 'not_ready', reasons: [{ name: 'kafka', reason: expect.any(String) }] },
    ]);
    child.process.kill('SIGTERM');
    expect(await child.exitCode).toBe(0);
    expect(child.messages.slice(-2)).toEqual(['closed: kafka', 'shut down']);
  });
});
