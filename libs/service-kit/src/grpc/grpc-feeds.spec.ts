import { Client, credentials, Metadata, status, type ClientReadableStream, type StatusObject } from '@grpc/grpc-js';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { DeliveryStatus, TailDeliveriesRequest, TailDeliveriesResponse, TailServiceDefinition } from '@posthorn/contracts/grpc/audit';
import { Registry } from 'prom-client';
import { authorizer } from '../access/authorize.js';
import { Health } from '../health.js';
import { createLog } from '../log.js';
import { Problem } from '../problem.js';
import { serve, type CallContext } from './calls.js';
import { GrpcDoor } from './grpc-door.js';

const PATH = '/posthorn.audit.v1.TailService/TailDeliveries';

type Say = (response: TailDeliveriesResponse) => Promise<void>;

let feed: (request: TailDeliveriesRequest, say: Say, context: CallContext) => Promise<void>;
let isValid: boolean;
let metrics: Registry;
let door: GrpcDoor;
let client: Client;

const placed = (place: string): TailDeliveriesResponse => ({ place, news: undefined });

/** Says one thing, and then nothing until it has to end. */
const silent = async (_request: TailDeliveriesRequest, say: Say, { signal }: CallContext): Promise<void> => {
  await say(placed('first'));
  await new Promise((resolve) => void signal.addEventListener('abort', resolve));
  signal.throwIfAborted();
};

beforeEach(async () => {
  feed = async (request, say) => {
    for (const place of [request.tenant, 'b', 'c']) await say(placed(place));
  };
  isValid = true;
  metrics = new Registry();
  door = new GrpcDoor({
    services: [
      serve(TailServiceDefinition, {
        tailDeliveries: { scope: 'audit:read', tenant: ({ tenant }) => tenant, maxBytes: 100, feed: (...call) => feed(...call) },
      }),
    ],
    authorize: authorizer(() => (isValid ? { actor: 'key_1', tenant: 'acme', scopes: new Set(['audit:read']) } : undefined)),
    health: new Health(),
    metrics,
    log: createLog('test', 'fatal'),
  });
  client = new Client(`127.0.0.1:${await door.open(0, '127.0.0.1')}`, credentials.createInsecure());
});
afterEach(async () => {
  client.close();
  await door.close();
});

const requestOf = (tenant: string): Buffer =>
  Buffer.from(TailDeliveriesRequest.encode({ tenant, subscription: '', status: DeliveryStatus.DELIVERY_STATUS_UNSPECIFIED, after: '' }).finish());

/** A stream of answers, what has come of it, and what it ended with. */
const opened = (bytes = requestOf('acme')) => {
  const metadata = new Metadata();
  metadata.set('authorization', 'Bearer phk_1');
  const stream: ClientReadableStream<Buffer> = client.makeServerStreamRequest(PATH, (request: Buffer) => request, (answer) => answer, bytes, metadata);
  const heard: string[] = [];
  const ended = new Promise<StatusObject>((resolve) => void stream.on('status', resolve));
  const first = new Promise<void>((resolve) => void stream.once('data', () => resolve()));
  stream.on('data', (answer: Buffer) => heard.push(TailDeliveriesResponse.decode(answer).place));
  stream.on('error', () => undefined); // is told by its status
  return { stream, heard, first, ended };
};

describe('an answer that is a stream', () => {
  it('says one thing after another, and ends when all is said', async () => {
    const { heard, ended } = opened();
    expect((await ended).code).toBe(status.OK);
    expect(heard).toEqual(['acme', 'b', 'c']);
    expect(await metrics.metrics()).toContain('method="posthorn.audit.v1.TailService/TailDeliveries",code="OK"} 1');
  });

  it.each([
    ['cannot be read', Buffer.from([0xff, 0xff]), status.INVALID_ARGUMENT],
    ['is too large', Buffer.alloc(101), status.RESOURCE_EXHAUSTED],
    ["asks for another tenant's", requestOf('theirs'), status.NOT_FOUND],
  ])('is not begun for a request that %s', async (_, bytes, code) => {
    const { heard, ended } = opened(bytes);
    expect([(await ended).code, heard]).toEqual([code, []]);
  });

  it('ends with the problem of what serves it, after what was said', async () => {
    feed = async (_request, say) => {
      await say(placed('a'));
      throw new Problem('unavailable', 'Not now.');
    };
    const { heard, ended } = opened();
    expect([(await ended).code, heard]).toEqual([status.UNAVAILABLE, ['a']]);
  });

  it('ends when its key is revoked, also while nothing is said', async () => {
    feed = silent;
    const { first, ended } = opened();
    await first;
    isValid = false;
    expect((await ended).code).toBe(status.UNAUTHENTICATED);
  });

  it('ends when the door closes', async () => {
    feed = silent;
    const { first, ended } = opened();
    await first;
    await door.close();
    expect((await ended).code).toBe(status.UNAVAILABLE);
  });

  it('whose client goes away ends, and nobody waits for what it will not hear', async () => {
    const over = new Promise<boolean>((resolve) => {
      feed = async (request, say, context) => {
        await silent(request, say, context).catch(() => undefined);
        await Promise.all(Array.from({ length: 100 }, () => say(placed('never'))));
        resolve(context.signal.aborted);
      };
    });
    const { stream, first } = opened();
    await first;
    stream.cancel();
    expect(await over).toBe(true);
  });
});
