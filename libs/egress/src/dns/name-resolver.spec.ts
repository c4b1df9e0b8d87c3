import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { NameFailed, type Resolve } from '../resolve.js';
import { nameResolver, withFallback, type NameResolverOptions } from './name-resolver.js';
import { testNameServer, type TestAnswer, type TestNameServer } from './test-name-server.js';

let answers: Record<string, TestAnswer | Promise<TestAnswer>>;
let server: TestNameServer;
let dir: string;
let nowMs: number;

beforeEach(async () => {
  answers = {};
  nowMs = 0;
  server = await testNameServer((name, type) => answers[`${type} ${name}`] ?? answers[name] ?? 'NXDOMAIN');
  dir = mkdtempSync(join(tmpdir(), 'posthorn-dns-'));
});
afterEach(() => {
  server.close();
  rmSync(dir, { recursive: true });
});

const resolving = (options: NameResolverOptions = {}): Resolve =>
  nameResolver({ servers: [server.address], hostsPath: join(dir, 'hosts'), nowMs: () => nowMs, ...options });

const a = (address: string, ttl = 60) => ({ type: 'A', address, ttl }) as const;
const aaaa = (address: string, ttl = 60) => ({ type: 'AAAA', address, ttl }) as const;
const addressesOf = async (resolve: Resolve, name: string): Promise<readonly string[]> => (await resolve(name)).map(({ address }) => address);

describe('a name', () => {
  it('has the addresses of both families, IPv4 first', async () => {
    answers['shop.example'] = [aaaa('2001:db8::7'), a('192.0.2.1'), a('192.0.2.2')];
    expect(await resolving()('shop.example')).toEqual([
      { address: '192.0.2.1', family: 4 },
      { address: '192.0.2.2', family: 4 },
      { address: '2001:db8::7', family: 6 },
    ]);
  });

  it('is found by way of its alias', async () => {
    answers['alias.example'] = [{ type: 'CNAME', target: 'real.example' }, { ...a('192.0.2.9'), name: 'real.example' }];
    expect(await addressesOf(resolving(), 'alias.example')).toEqual(['192.0.2.9']);
  });

  it('is believed for the shortest TTL of its records, but at least a second', async () => {
    const resolve = resolving();
    answers['short.example'] = [a('192.0.2.1', 10), aaaa('2001:db8::7', 3)];
    answers['zero.example'] = [a('192.0.2.1', 0)];
    await resolve('short.example');
    await resolve('zero.example');
    expect(server.asked).toHaveLength(4);
    nowMs = 999;
    await resolve('zero.example');
    expect(server.asked).toHaveLength(4);
    nowMs = 1_000;
    await resolve('zero.example');
    expect(server.asked).toHaveLength(6);
    nowMs = 3_000;
    await resolve('short.example');
    expect(server.asked).toHaveLength(8);
  });

  it.each([
    ['NXDOMAIN', 'ENOTFOUND'],
    ['SERVFAIL', 'ESERVFAIL'],
    ['REFUSED', 'EREFUSED'],
    [[], 'ENODATA'],
    ['SILENT', 'ETIMEOUT'],
  ] as const)('that is answered with %s fails with %s', async (answer, code) => {
    answers['failing.example'] = answer;
    await expect(resolving({ timeoutMs: 300 })('failing.example')).rejects.toMatchObject({ code });
  });

  it('that is answered with garbage fails', async () => {
    answers['garbage.example'] = 'GARBAGE';
    await expect(resolving({ timeoutMs: 300 })('garbage.example')).rejects.toMatchObject({ code: expect.stringMatching(/^E(?:BADRESP|TIMEOUT)$/) });
  });

  it.each(['SILENT', 'SERVFAIL'] as const)('whose servers answer for one family only (%s for the other) has its addresses', async (other) => {
    answers['A half.example'] = [a('192.0.2.1')];
    answers['AAAA half.example'] = other;
    expect(await addressesOf(resolving({ timeoutMs: 300 }), 'half.example')).toEqual(['192.0.2.1']);
  });

  it('with more addresses than an honest one has none', async () => {
    answers['A many.example'] = Array.from({ length: 33 }, (_, n) => a(`192.0.2.${n}`));
    answers['AAAA many.example'] = Array.from({ length: 32 }, (_, n) => aaaa(`2001:db8::${n.toString(16)}`));
    await expect(resolving()('many.example')).rejects.toMatchObject({ code: 'ETOOMANY' });
  });

  it('is not delayed by fifty whose servers never answer', async () => {
    for (let n = 0; n < 50; n++) answers[`silent-${n}.example`] = 'SILENT';
    answers['shop.example'] = [a('192.0.2.1')];
    const resolve = resolving({ timeoutMs: 1_500 });
    const silent = Promise.allSettled(Array.from({ length: 50 }, (_, n) => resolve(`silent-${n}.example`)));
    let silentOver = false;
    void silent.then(() => (silentOver = true));
    const startedMs = performance.now();
    expect(await addressesOf(resolve, 'shop.example')).toEqual(['192.0.2.1']);
    expect(performance.now() - startedMs).toBeLessThan(500);
    expect(silentOver).toBe(false);
    expect((await silent).every((each) => each.status === 'rejected' && each.reason.code === 'ETIMEOUT')).toBe(true);
  });
});

describe('the hosts file', () => {
  it('comes before the name servers, and is read again when it has changed', async () => {
    answers['shop.example'] = [a('192.0.2.1')];
    writeFileSync(join(dir, 'hosts'), '10.0.0.7 Shop.example\n');
    const resolve = resolving();
    expect(await addressesOf(resolve, 'shop.example')).toEqual(['10.0.0.7']);
    expect(server.asked).toEqual([]);
    writeFileSync(join(dir, 'hosts'), '# nothing here any more\n');
    nowMs = 1_000;
    expect(await addressesOf(resolve, 'shop.example')).toEqual(['192.0.2.1']);
  });

  it('is not needed for localhost, which no name server is asked for', async () => {
    answers['localhost'] = [a('192.0.2.1')];
    answers['x.localhost'] = [a('192.0.2.1')];
    expect(await addressesOf(resolving(), 'localhost')).toEqual(['127.0.0.1', '::1']);
    expect(await addressesOf(resolving(), 'x.localhost')).toEqual(['127.0.0.1', '::1']);
    writeFileSync(join(dir, 'hosts'), '127.0.0.1 localhost\n');
    expect(await addressesOf(resolving(), 'localhost')).toEqual(['127.0.0.1']);
    expect(server.asked).toEqual([]);
  });
});

describe('the system', () => {
  const known = { addresses: [{ address: '10.0.0.7', family: 4 }], ttlSeconds: 5 };
  const queryWith = (code: string) => withFallback(() => Promise.reject(new NameFailed(code)), () => Promise.resolve(known));

  it.each(['ENOTFOUND', 'ENODATA', 'EREFUSED', 'ECONNREFUSED'])('is asked when name servers do not know the name: %s', async (code) => {
    expect(await queryWith(code)('receiver')).toBe(known);
  });

  it.each(['ETIMEOUT', 'ESERVFAIL', 'ETOOMANY'])('is not asked when they fail: %s', async (code) => {
    await expect(queryWith(code)('receiver')).rejects.toMatchObject({ code });
  });

  it('is not asked when the name servers were given', async () => {
    await expect(resolving()('localhost.localdomain')).rejects.toMatchObject({ code: 'ENOTFOUND' });
  });
});
