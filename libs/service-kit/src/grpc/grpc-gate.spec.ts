import { once } from 'node:events';
import { connect as connectHttp2, constants, type ClientHttp2Session, type ClientHttp2Stream, type IncomingHttpHeaders } from 'node:http2';
import { connect, type Socket } from 'node:net';
import { status } from '@grpc/grpc-js';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { ErrorInfo, Status } from '@posthorn/contracts/grpc';
import { DeliveryStatus, TailDeliveriesRequest, TailServiceDefinition } from '@posthorn/contracts/grpc/audit';
import { CreatePortalTokenRequest, PortalTokenServiceDefinition } from '@posthorn/contracts/grpc/registry';
import { Registry } from 'prom-client';
import { authorizer, type Authenticate } from '../access/authorize.js';
import type { Caller } from '../access/caller.js';
import { Health } from '../health.js';
import { createLog } from '../log.js';
import { Problem } from '../problem.js';
import { serve, type CallContext } from './calls.js';
import { GrpcDoor } from './grpc-door.js';
import { DETAILS_KEY } from './status.js';

const CALL = '/posthorn.registry.v1.PortalTokenService/CreatePortalToken';
const FEED = '/posthorn.audit.v1.TailService/TailDeliveries';
const LARGE = 4 * 1024 * 1024;
/** What HTTP/2 lets somebody send who was not told that more is wanted; Node tells so once before anybody has read. */
const WINDOWS = 2 * 65_535;
/** Of HTTP/2 itself: the heads of connection, call and frames. */
const HEADS = 4_096;

const ours: Caller = { actor: 'key_1', tenant: 'acme', scopes: new Set(['registry:write', 'audit:read']) };
const scopeless: Caller = { ...ours, scopes: new Set(['events:write']) };

let authenticate: Authenticate;
let asked: number;
let served: number;
let metrics: Registry;
let lines: Record<string, unknown>[];
let door: GrpcDoor;
let socket: Socket;
let session: ClientHttp2Session;

beforeEach(async () => {
  authenticate = (key) => (key === 'phk_ours' ? ours : key === 'phk_scopeless' ? scopeless : undefined);
  asked = 0;
  served = 0;
  metrics = new Registry();
  lines = [];
  const answer = ({ tenant }: CreatePortalTokenRequest, { caller }: CallContext) => {
    served++;
    return { token: caller.actor, tenant: tenant.slice(0, 10), scopes: [], expires_at: undefined };
  };
  door = new GrpcDoor({
    services: [
      serve(PortalTokenServiceDefinition, {
        createPortalToken: { scope: 'registry:write', maxBytes: 2 * LARGE, answer },
      }),
      serve(TailServiceDefinition, {
        tailDeliveries: { scope: 'audit:read', tenant: ({ tenant }) => tenant, feed: async (_request, say) => say({ place: `${++served}`, news: undefined }) },
      }),
    ],
    authorize: authorizer((key) => {
      asked++;
      return authenticate(key);
    }),
    health: new Health(),
    metrics,
    log: createLog('test', 'info', { write: (line) => void lines.push(JSON.parse(line) as Record<string, unknown>) }),
  });
  const port = await door.open(0, '127.0.0.1');
  socket = connect(port, '127.0.0.1');
  session = connectHttp2(`http://127.0.0.1:${port}`, { createConnection: () => socket });
});
afterEach(async () => {
  session.destroy();
  await door.close();
});

/** A message as it is framed, but for its last byte. */
const unended = (bytes: number): Buffer => {
  const frame = Buffer.alloc(5 + bytes - 1);
  frame.writeUInt32BE(bytes, 1);
  return frame;
};

const framed = (message: Uint8Array): Buffer => {
  const head = Buffer.alloc(5);
  head.writeUInt32BE(message.length, 1);
  return Buffer.concat([head, message]);
};

const tailOf = (tenant: string): Buffer => framed(TailDeliveriesRequest.encode({ tenant, subscription: '', status: DeliveryStatus.DELIVERY_STATUS_UNSPECIFIED, after: '' }).finish());
const tokenOf = (tenant: string): Buffer => framed(CreatePortalTokenRequest.encode({ tenant, scopes: [] }).finish());

type Ended = { readonly code: number; readonly details: string; readonly reason: string | undefined; readonly id: unknown };

/** A call of a client that does as it likes, and what it ended with. */
const opened = (path: string, key: string | undefined, headers: Readonly<Record<string, string>> = {}) => {
  const stream: ClientHttp2Stream = session.request({
    ':method': 'POST',
    ':path': path,
    'content-type': 'application/grpc+proto',
    te: 'trailers',
    ...(key !== undefined && { authorization: `Bearer ${key}` }),
    ...headers,
  });
  let id: unknown;
  stream.on('response', (head) => (id = head['x-request-id']));
  stream.on('error', () => undefined); // is told by what the call ended with
  stream.resume();
  const ended = once(stream, 'trailers').then(([trailers]: readonly IncomingHttpHeaders[]): Ended => {
    const { details } = Status.decode(Buffer.from(String(trailers?.[DETAILS_KEY] ?? ''), 'base64'));
    const [info] = details.map(({ value }) => ErrorInfo.decode(value));
    return { code: Number(trailers?.['grpc-status']), details: decodeURI(String(trailers?.['grpc-message'])), reason: info?.reason, id };
  });
  return { stream, ended };
};

const counted = async (): Promise<string[]> =>
  (await metrics.metrics()).split('\n').filter((line) => line.startsWith('posthorn_grpc_request_duration_seconds_count'));

const countOf = (path: string, code: string): string =>
  `posthorn_grpc_request_duration_seconds_count{method="${path.slice(1)}",code="${code}"} 1`;

/** Resolves when the server has answered a ping that was sent after everything else. */
const seenByServer = (): Promise<void> =>
  new Promise((resolve, reject) => void session.ping((error) => (error === null ? resolve() : reject(error))));

const until = async (isSo: () => boolean): Promise<void> => {
  while (!isSo()) await new Promise(setImmediate);
};

/** Keys are asked for, and nothing is known of them until it is said. */
const heldBack = () => {
  const known = Promise.withResolvers<Caller | undefined>();
  authenticate = () => known.promise;
  return known;
};

describe.each([
  ['a call', CALL],
  ['a call that is answered with a stream', FEED],
])('%s', (_, path) => {
  it.each([
    ['without a key', undefined, status.UNAUTHENTICATED, 'UNAUTHENTICATED', 'Send the header Authorization: Bearer <key>.'],
    ['with a stranger to us', 'phk_wrong', status.UNAUTHENTICATED, 'UNAUTHENTICATED', 'The API key is not valid.'],
    ['with a key that has not its scope', 'phk_scopeless', status.PERMISSION_DENIED, 'FORBIDDEN', undefined],
  ])('%s is refused before its message is there, told and counted once', async (_what, key, code, reason, details) => {
    const { stream, ended } = opened(path, key, { 'x-request-id': 'r-1' });
    stream.write(unended(900_000).subarray(0, 10));
    expect(await ended).toMatchObject({ code, reason, id: 'r-1', ...(details !== undefined && { details }) });
    expect(lines).toEqual([expect.objectContaining({ msg: 'call', request_id: 'r-1', method: path, code: status[code] })]);
    expect(await counted()).toEqual([countOf(path, String(status[code]))]);
    expect(served).toBe(0);
  });

  it('is not read while nobody knows whose key it is', async () => {
    const known = heldBack();
    const { stream, ended } = opened(path, 'phk_ours');
    stream.write(unended(900_000));
    await until(() => asked === 1 && socket.bytesWritten >= WINDOWS);
    await seenByServer();
    expect(socket.bytesWritten).toBeLessThan(WINDOWS + HEADS);
    known.resolve(undefined);
    expect((await ended).code).toBe(status.UNAUTHENTICATED);
    expect(lines).toHaveLength(1);
  });

  it('whose client goes while nobody knows whose key it is, is told and counted once, and not served', async () => {
    const known = heldBack();
    const { stream, ended } = opened(path, 'phk_ours');
    ended.catch(() => undefined);
    stream.end(path === CALL ? tokenOf('acme') : tailOf('acme'));
    await until(() => asked === 1);
    stream.close(constants.NGHTTP2_CANCEL);
    await seenByServer();
    known.resolve(ours);
    await until(() => lines.length > 0);
    await door.close();
    expect(lines).toEqual([expect.objectContaining({ msg: 'call', code: 'CANCELLED' })]);
    expect(await counted()).toEqual([countOf(path, 'CANCELLED')]);
    expect(served).toBe(0);
  });

  it('whose deadline passes while nobody knows whose key it is, ends with it', async () => {
    const known = heldBack();
    const { ended } = opened(path, 'phk_ours', { 'grpc-timeout': '20m' });
    expect((await ended).code).toBe(status.DEADLINE_EXCEEDED);
    known.reject(new Error('too late'));
    await until(() => lines.length > 0);
    expect(lines).toEqual([expect.objectContaining({ level: 'info', code: 'DEADLINE_EXCEEDED' })]);
  });

  it.each([
    ['no problem', new TypeError('the secret is 42'), status.INTERNAL, 2],
    ['a problem that will pass', new Problem('unavailable', 'Not now.'), status.UNAVAILABLE, 1],
  ])('whose key cannot be looked at because of %s is refused', async (_what, error, code, written) => {
    authenticate = () => Promise.reject(error);
    const { stream, ended } = opened(path, 'phk_ours');
    stream.write(unended(900_000).subarray(0, 10));
    const told = await ended;
    expect(told.code).toBe(code);
    expect(told.details).not.toContain('42');
    expect(lines.map(({ code: logged }) => logged)).toEqual([...Array<undefined>(written - 1), status[code]]);
  });

  it('is served when its key is known, which is asked for once', async () => {
    const known = heldBack();
    const { stream, ended } = opened(path, 'phk_ours');
    stream.end(path === CALL ? tokenOf('acme') : tailOf('acme'));
    await until(() => asked === 1);
    known.resolve(ours);
    expect((await ended).code).toBe(status.OK);
    expect([asked, served]).toEqual([1, 1]);
    expect(lines).toEqual([expect.objectContaining({ code: 'OK', actor: 'key_1', tenant: 'acme' })]);
    expect(await counted()).toEqual([countOf(path, 'OK')]);
  });

  it('whose key was revoked while its message was long on its way is refused', async () => {
    const { stream, ended } = opened(path, 'phk_ours');
    const message = path === CALL ? tokenOf('acme') : tailOf('acme');
    stream.write(message.subarray(0, 6));
    await until(() => asked === 1);
    authenticate = () => undefined;
    await new Promise((resolve) => void setTimeout(resolve, 1_100)); // a right is believed for a second
    stream.end(message.subarray(6));
    expect((await ended).code).toBe(status.UNAUTHENTICATED);
    expect(served).toBe(0);
    expect(lines).toHaveLength(1);
  });

  it('keeps nobody from closing while nobody knows whose key it is', async () => {
    const known = heldBack();
    const { stream, ended } = opened(path, 'phk_ours');
    stream.end(path === CALL ? tokenOf('acme') : tailOf('acme'));
    await until(() => asked === 1);
    const closed = door.close();
    known.resolve(undefined);
    expect((await ended).code).toBe(status.UNAUTHENTICATED);
    await closed;
    expect(lines).toHaveLength(1);
  });
});

describe('a large message', () => {
  it('of a stranger who never ends it is refused', async () => {
    const { stream, ended } = opened(CALL, undefined);
    stream.write(unended(LARGE));
    expect((await ended).code).toBe(status.UNAUTHENTICATED);
    expect(served).toBe(0);
  });

  it('of somebody whose key is known is read', async () => {
    const { stream, ended } = opened(CALL, 'phk_ours');
    stream.end(tokenOf('a'.repeat(LARGE)));
    expect((await ended).code).toBe(status.OK);
    expect(lines).toEqual([expect.objectContaining({ code: 'OK', actor: 'key_1' })]);
  });

  it("of another tenant's is judged when it is there", async () => {
    const { stream, ended } = opened(FEED, 'phk_ours');
    stream.end(tailOf('other'));
    expect(await ended).toMatchObject({ code: status.NOT_FOUND, reason: 'NOT_FOUND' });
    expect([asked, served]).toEqual([1, 0]);
    expect(lines).toEqual([expect.objectContaining({ code: 'NOT_FOUND' })]);
  });
});
