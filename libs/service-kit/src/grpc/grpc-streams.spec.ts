import { Client, credentials, Metadata, status, type ClientDuplexStream, type StatusObject } from '@grpc/grpc-js';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { EventServiceDefinition, PublishStreamRequest, PublishStreamResponse } from '@posthorn/contracts/grpc/ingestion';
import { Registry } from 'prom-client';
import { authorizer } from '../access/authorize.js';
import { Health } from '../health.js';
import { createLog } from '../log.js';
import { Problem } from '../problem.js';
import { serve, type CallContext, type Conversation } from './calls.js';
import { GrpcDoor } from './grpc-door.js';

const PATH = '/posthorn.ingestion.v1.EventService/PublishStream';

type Talk = Conversation<PublishStreamRequest, PublishStreamResponse>;
type Stream = ClientDuplexStream<Buffer, Buffer>;

let converse: (conversation: Talk, context: CallContext) => Promise<void>;
let isValid: boolean;
let metrics: Registry;
let door: GrpcDoor;
let client: Client;

const answerTo = ({ sequence }: PublishStreamRequest): PublishStreamResponse => ({ sequence, result: undefined });
const echo = async ({ requests, say }: Talk): Promise<void> => {
  for await (const request of requests) await say(answerTo(request));
};

const unused = (): never => {
  throw new Error('not asked for here');
};

beforeEach(async () => {
  converse = echo;
  isValid = true;
  metrics = new Registry();
  door = new GrpcDoor({
    services: [
      serve(EventServiceDefinition, {
        publishEvent: { scope: 'events:write', answer: unused },
        publishEvents: { scope: 'events:write', answer: unused },
        publishStream: { scope: 'events:write', maxBytes: 1_000, converse: (conversation, context) => converse(conversation, context) },
      }),
    ],
    authorize: authorizer(() => (isValid ? { actor: 'key_1', tenant: undefined, scopes: new Set(['events:write']) } : undefined)),
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

const message = (sequence: number): Buffer =>
  Buffer.from(PublishStreamRequest.encode({ sequence, tenant: 't', event: undefined, registry_position: undefined }).finish());

/** A stream, what has come back on it, and what it ended with. */
const opened = () => {
  const metadata = new Metadata();
  metadata.set('authorization', 'Bearer phk_1');
  const stream: Stream = client.makeBidiStreamRequest(PATH, (bytes: Buffer) => bytes, (bytes) => bytes, metadata);
  const heard: number[] = [];
  const ended = new Promise<StatusObject>((resolve) => void stream.on('status', resolve));
  stream.on('data', (bytes: Buffer) => heard.push(PublishStreamResponse.decode(bytes).sequence));
  stream.on('error', () => undefined); // is told by its status
  const hear = async (count: number): Promise<void> => {
    while (heard.length < count) await new Promise((resolve) => void stream.once('data', resolve));
  };
  return { stream, heard, hear, ended };
};

describe('a stream', () => {
  it('is answered while it goes on, and ends when everything is said', async () => {
    const { stream, heard, hear, ended } = opened();
    stream.write(message(1));
    await hear(1);
    stream.write(message(2));
    stream.write(message(3));
    stream.end();
    expect((await ended).code).toBe(status.OK);
    expect(heard).toEqual([1, 2, 3]);
    expect(await metrics.metrics()).toContain('method="posthorn.ingestion.v1.EventService/PublishStream",code="OK"} 1');
  });

  it('that nobody may open is refused before anything of it is read', async () => {
    isValid = false;
    let isAsked = false;
    converse = async () => void (isAsked = true);
    expect((await opened().ended).code).toBe(status.UNAUTHENTICATED);
    expect(isAsked).toBe(false);
  });

  it('ends with the problem of what serves it, after what was said', async () => {
    converse = async ({ say }) => {
      await say({ sequence: 9, result: undefined });
      throw new Problem('rate_limited', 'Slowly.');
    };
    const { heard, ended } = opened();
    expect((await ended).code).toBe(status.RESOURCE_EXHAUSTED);
    expect(heard).toEqual([9]);
  });

  it.each([
    ['cannot be read', Buffer.from([0xff, 0xff]), status.INVALID_ARGUMENT],
    ['is too large', Buffer.alloc(1_001), status.RESOURCE_EXHAUSTED],
  ])('ends at a message that %s', async (_, bytes, code) => {
    const { stream, hear, ended } = opened();
    stream.write(message(1));
    await hear(1);
    stream.write(bytes);
    expect((await ended).code).toBe(code);
  });

  it('whose client goes away ends, and nobody waits for what it will not hear', async () => {
    const { stream, hear } = opened();
    const afterwards = new Promise<string>((resolve) => {
      converse = async (conversation) => {
        await echo(conversation);
        await Promise.all(Array.from({ length: 100 }, (_, sequence) => conversation.say({ sequence, result: undefined })));
        resolve('all said');
      };
    });
    stream.write(message(1));
    await hear(1);
    stream.cancel();
    expect(await afterwards).toBe('all said');
  });

  it('ends when its key is revoked', async () => {
    const { stream, hear, ended } = opened();
    stream.write(message(0));
    await hear(1);
    isValid = false;
    const saying = setInterval(() => stream.write(message(1)), 20);
    expect((await ended).code).toBe(status.UNAUTHENTICATED);
    clearInterval(saying);
  });

  it('is not read any further when the door closes: what was read is answered, and the client told that there was more', async () => {
    const { stream, heard, hear, ended } = opened();
    converse = async (conversation) => {
      await echo(conversation);
      await conversation.say({ sequence: 99, result: undefined });
    };
    stream.write(message(1));
    await hear(1);
    await door.close();
    expect((await ended).code).toBe(status.UNAVAILABLE);
    expect(heard).toEqual([1, 99]);
  });
});
