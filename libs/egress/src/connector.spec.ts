import { createServer, type AddressInfo, type Server } from 'node:net';
import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { parseCidrs, type EgressPolicy } from './address-guard.js';
import { ClientCredentials } from './client-credentials.js';
import { nameResolver } from './dns/name-resolver.js';
import { testNameServer, type TestAnswer, type TestNameServer } from './dns/test-name-server.js';
import { HttpSender, type HttpOutcome } from './http.js';
import type { Resolve } from './resolve.js';

/** 127.0.0.2 plays a public address; nothing else on this machine may be reached. */
const policy: EgressPolicy = { allowHttp: true, allowedAddresses: parseCidrs('127.0.0.2/32') };

/** Machines that have much else to do take their time. */
jest.setTimeout(20_000);

let answers: (name: string, type: 'A' | 'AAAA') => TestAnswer;
let nameServer: TestNameServer;
let nowMs: number;
let resolve: Resolve;
let receiver: Server;
/** The addresses at which somebody connected. */
let reached: (string | undefined)[];
let port: number;
let sender: HttpSender;

beforeEach(async () => {
  nowMs = 0;
  reached = [];
  answers = () => 'NXDOMAIN';
  nameServer = await testNameServer((name, type) => answers(name, type));
  resolve = nameResolver({ servers: [nameServer.address], hostsPath: '/dev/null', timeoutMs: 300, nowMs: () => nowMs });
  receiver = createServer((socket) => {
    reached.push(socket.localAddress);
    socket.on('error', () => undefined).once('data', () => socket.end('HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n'));
  });
  await new Promise<void>((listening) => receiver.listen(0, '0.0.0.0', listening));
  port = (receiver.address() as AddressInfo).port;
  sender = new HttpSender({ policy, resolve });
});
afterEach(async () => {
  await sender.close();
  receiver.close();
  nameServer.close();
});

const send = (host = 'receiver.example'): Promise<HttpOutcome> =>
  sender.send({ url: `http://${host}:${port}/`, headers: [], body: Buffer.from('{}'), timeoutMs: 10_000 });

const a = (...addresses: readonly string[]) => addresses.map((address) => ({ type: 'A', address }) as const);
const aaaa = (...addresses: readonly string[]) => addresses.map((address) => ({ type: 'AAAA', address }) as const);
const alias = (target: string) => ({ type: 'CNAME', target }) as const;

const answerSets: readonly (readonly [string, TestAnswer, string])[] = [
  ['a permitted address', a('127.0.0.2'), '204'],
  ['a permitted address, twice', a('127.0.0.2', '127.0.0.2'), '204'],
  ['a permitted address behind an alias', [alias('real.example'), { type: 'A', address: '127.0.0.2', name: 'real.example' }], '204'],
  ['this machine', a('127.0.0.1'), 'address_blocked'],
  ['another one of loopback', a('127.255.255.254'), 'address_blocked'],
  ['nowhere', a('0.0.0.0'), 'address_blocked'],
  ['a private address', a('10.0.0.1'), 'address_blocked'],
  ['a private address of the middle size', a('172.31.255.255'), 'address_blocked'],
  ['a private address of the small size', a('192.168.1.1'), 'address_blocked'],
  ['the metadata service', a('169.254.169.254'), 'address_blocked'],
  ["a carrier's own address", a('100.64.0.1'), 'address_blocked'],
  ['everybody', a('255.255.255.255'), 'address_blocked'],
  ['a group', a('224.0.0.1'), 'address_blocked'],
  ['a private address behind an alias', [alias('real.example'), { type: 'A', address: '10.0.0.1', name: 'real.example' }], 'address_blocked'],
  ['a permitted address, then a private one', a('127.0.0.2', '10.0.0.1'), 'address_blocked'],
  ['a private address, then a permitted one', a('10.0.0.1', '127.0.0.2'), 'address_blocked'],
  ['a private address after many others', a('127.0.0.2', '127.0.0.2', '127.0.0.2', '127.0.0.2', '127.0.0.2', '10.0.0.1'), 'address_blocked'],
  ['a permitted address, and a private one of the other family', [...a('127.0.0.2'), ...aaaa('fd00::1')], 'address_blocked'],
  ['loopback of the other family', aaaa('::1'), 'address_blocked'],
  ['nowhere of the other family', aaaa('::'), 'address_blocked'],
  ['a mapped address', aaaa('::ffff:a00:1'), 'address_blocked'],
  ['a NAT64 address', aaaa('64:ff9b::a00:1'), 'address_blocked'],
  ['a local NAT64 address', aaaa('64:ff9b:1::a00:1'), 'address_blocked'],
  ['a 6to4 address', aaaa('2002:a00:1::1'), 'address_blocked'],
  ['a Teredo address', aaaa('2001::a00:1'), 'address_blocked'],
  ['an ISATAP address', aaaa('2606:4700::5efe:a00:1'), 'address_blocked'],
  ['a link-local address', aaaa('fe80::1'), 'address_blocked'],
  ['an SRv6 address', aaaa('5f00::1'), 'address_blocked'],
  ['no address', [], 'dns_failed'],
  ['an alias to nowhere', [alias('real.example')], 'dns_failed'],
  ['that there is no such name', 'NXDOMAIN', 'dns_failed'],
  ['a failure', 'SERVFAIL', 'dns_failed'],
  ['a refusal', 'REFUSED', 'dns_failed'],
  ['nothing', 'SILENT', 'dns_failed'],
  ['hundreds of addresses', a(...Array.from({ length: 65 }, () => '127.0.0.2')), 'dns_failed'],
];

describe('a name whose servers answer with', () => {
  it.each(answerSets)('%s', async (_, answer, expected) => {
    answers = () => answer;
    const { response, failure } = await send();
    expect(String(response?.status ?? failure?.code)).toBe(expected);
    expect(reached).toEqual(expected === '204' ? ['127.0.0.2'] : []);
    expect(failure?.message ?? '').not.toMatch(/10\.0\.0\.1|a00:1/);
  });
});

describe('a name that is bound to another address (DNS rebinding)', () => {
  it.each([0, 60])('between two connections, with a TTL of %i s, leads there once it is asked for again, and is refused', async (ttl) => {
    answers = (_, type) => (type === 'A' ? [{ type, address: '127.0.0.2', ttl }] : []);
    expect(await send()).toMatchObject({ response: { status: 204 } });
    answers = (_, type) => (type === 'A' ? [{ type, address: '127.0.0.1', ttl }] : []);
    // What was judged is what is connected to, however short it was to last.
    expect(await send()).toMatchObject({ response: { status: 204 } });
    nowMs = ttl * 1_000 + 1_000;
    expect(await send()).toMatchObject({ failure: { code: 'address_blocked' } });
    expect(reached).toEqual(['127.0.0.2', '127.0.0.2']);
  });

  it('with every query is asked for once for each connection, and never between judging and connecting', async () => {
    let queries = 0;
    answers = (_, type) => (type === 'A' ? [{ type, address: queries++ === 0 ? '127.0.0.2' : '127.0.0.1', ttl: 0 }] : []);
    expect(await send()).toMatchObject({ response: { status: 204 } });
    expect(nameServer.asked).toEqual(['A receiver.example', 'AAAA receiver.example']);
    expect(reached).toEqual(['127.0.0.2']);
  });

  it('is judged by the rules of the moment, also when its address is remembered', async () => {
    answers = () => a('127.0.0.2');
    expect(await send()).toMatchObject({ response: { status: 204 } });
    const stricter = new HttpSender({ policy: { ...policy, allowedAddresses: parseCidrs('') }, resolve });
    const outcome = await stricter.send({ url: `http://receiver.example:${port}/`, headers: [], body: Buffer.from('{}'), timeoutMs: 10_000 });
    expect(outcome).toMatchObject({ failure: { code: 'address_blocked' } });
    expect(nameServer.asked).toHaveLength(2);
    await stricter.close();
  });
});

describe('a token endpoint', () => {
  it('whose name resolves to a private address is not asked', async () => {
    answers = () => a('127.0.0.1');
    const settings = { tokenUrl: `http://login.example:${port}/token`, clientId: 'me' };
    const token = new ClientCredentials(settings, () => 'secret').token(sender, { timeoutMs: 10_000, remainingMs: 3_000 });
    expect(await token).toMatchObject({ failure: { code: 'auth_failed', message: expect.stringContaining('login.example resolves to an address that is not public') } });
    expect(nameServer.asked).toContain('A login.example');
    expect(reached).toEqual([]);
  });
});

describe('a name with many addresses', () => {
  it('has two of each family tried', async () => {
    // Nobody listens at the first ones; the third is not tried any more.
    receiver.close();
    const elsewhere = createServer((socket) => {
      reached.push(socket.localAddress);
      socket.destroy();
    });
    await new Promise<void>((listening) => elsewhere.listen(port, '127.0.0.5', listening));
    const lenient = new HttpSender({ policy: { allowHttp: true, allowedAddresses: parseCidrs('127.0.0.0/8') }, resolve });
    const outcomeOf = () => lenient.send({ url: `http://many.example:${port}/`, headers: [], body: Buffer.from('{}'), timeoutMs: 10_000 });
    answers = () => a('127.0.0.3', '127.0.0.4', '127.0.0.5');
    expect(await outcomeOf()).toMatchObject({ failure: { code: 'connection_refused' } });
    answers = () => a('127.0.0.3', '127.0.0.5', '127.0.0.4');
    nowMs = 61_000;
    expect(await outcomeOf()).toMatchObject({ failure: { code: 'connection_reset' } });
    expect(reached).toEqual(['127.0.0.5']);
    await lenient.close();
    elsewhere.close();
  });
});
