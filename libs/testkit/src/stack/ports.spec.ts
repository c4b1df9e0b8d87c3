import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from '@jest/globals';
import { freePort, isFree, portsFor } from './ports.js';

const LOOPBACK = '127.0.0.1';
const servers: Server[] = [];
const take = async (port: number): Promise<void> => {
  const server = createServer().listen(port, LOOPBACK);
  servers.push(server);
  await once(server, 'listening');
};
afterEach(() => {
  for (const server of servers.splice(0)) server.close();
});

describe('a free port', () => {
  it('is none that the system gives to connections', async () => {
    const ports = await Promise.all(Array.from({ length: 100 }, () => freePort(LOOPBACK)));
    expect(Math.min(...ports)).toBeGreaterThanOrEqual(20_000);
    expect(Math.max(...ports)).toBeLessThan(30_000);
  });

  it('is given once, though nobody listens on it yet', async () => {
    const ports = await Promise.all(Array.from({ length: 100 }, () => freePort(LOOPBACK)));
    expect(new Set(ports).size).toBe(100);
  });

  it('is none on which somebody listens', async () => {
    const before = await freePort(LOOPBACK);
    const next = before === 29_999 ? 20_000 : before + 1;
    if (await isFree(next, LOOPBACK)) await take(next);
    expect(await isFree(next, LOOPBACK)).toBe(false);
    expect(await freePort(LOOPBACK)).not.toBe(next);
  });
});

describe('ports for names', () => {
  it('are those of the last time where they are free', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'posthorn-ports-'));
    const file = join(folder, 'below', 'ports.json');
    try {
      const first = await portsFor(file, ['kafka', 'postgres']);
      expect(JSON.parse(readFileSync(file, 'utf8'))).toEqual(first);
      expect(await portsFor(file, ['kafka', 'postgres'])).toEqual(first);
      await take(first.kafka);
      const second = await portsFor(file, ['kafka', 'postgres']);
      expect(second.postgres).toBe(first.postgres);
      expect(second.kafka).not.toBe(first.kafka);
      writeFileSync(file, 'not JSON');
      expect(Object.keys(await portsFor(file, ['kafka']))).toEqual(['kafka']);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});
