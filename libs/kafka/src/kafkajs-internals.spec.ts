import { afterEach, describe, expect, it } from '@jest/globals';
import { once } from 'node:events';
import { createRequire } from 'node:module';
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { assertKnown } from './kafkajs-internals.js';

type Finder = { findGroupCoordinatorMetadata(group: object): Promise<unknown> };
const require = createRequire(import.meta.url);
const { prototype } = require('kafkajs/src/cluster/index.js') as { readonly prototype: Finder };

type Connection = {
  readonly socket: Socket;
  connect(): Promise<boolean>;
  disconnect(): Promise<boolean>;
  send(protocol: object): Promise<Buffer>;
};
const Connection = require('kafkajs/src/network/connection.js') as new (options: object) => Connection;
const Encoder = require('kafkajs/src/protocol/encoder.js') as new () => object;
const socketFactory = (require('kafkajs/src/network/socketFactory.js') as () => object)();
const silent = { namespace: () => silent, debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined };

it('another version of the client is not taken for the one that is known', () => {
  expect(() => assertKnown('2.2.5')).toThrow('kafkajs is 2.2.5');
});

describe("a broker that does not name a group's coordinator yet", () => {
  it('is an outage, after which the client starts the consumer again, and not the end of it', async () => {
    const cluster: Finder & object = Object.create(prototype, { brokerPool: { value: { withBroker: async () => null } } });
    await expect(cluster.findGroupCoordinatorMetadata({ groupId: 'g' })).rejects.toMatchObject({ retriable: true, message: 'Failed to find group coordinator' });
  });
});

const protocol = {
  request: { apiKey: 18, apiVersion: 0, apiName: 'ApiVersions', encode: async () => new Encoder() },
  response: { decode: async (payload: Buffer) => payload, parse: async (payload: Buffer) => payload },
};

describe('a connection that ends in the midst of an answer', () => {
  let server: Server | undefined;
  let connection: Connection | undefined;

  afterEach(async () => {
    await connection?.disconnect();
    connection?.socket.destroy();
    server?.close();
  });

  it('reads the next answer from its beginning when it is made again', async () => {
    const answers = [Buffer.from('half of an answer'), Buffer.from('whole')];
    server = createServer((socket) => {
      socket.on('data', (asked) => {
        const text = answers.shift() ?? Buffer.alloc(0);
        const head = Buffer.alloc(8);
        head.writeInt32BE(4 + text.length);
        // A request has its own length, what it asks for and in which version before the number that its answer repeats.
        asked.copy(head, 4, 8, 12);
        socket.write(answers.length > 0 ? Buffer.concat([head, text]).subarray(0, 14) : Buffer.concat([head, text]));
      });
      socket.on('error', () => undefined);
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    connection = new Connection({ host: '127.0.0.1', port, logger: silent, socketFactory, requestTimeout: 5_000, connectionTimeout: 5_000 });
    await connection.connect();
    const { socket } = connection;
    const cutOff = connection.send(protocol);
    await once(socket, 'data');
    socket.destroy(new Error('called away'));
    await expect(cutOff).rejects.toThrow('called away');
    await connection.connect();
    expect((await connection.send(protocol)).toString()).toBe('whole');
  });
});
