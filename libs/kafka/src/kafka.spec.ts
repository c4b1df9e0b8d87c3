import { connect } from 'node:net';
import { describe, expect, it, jest } from '@jest/globals';
import type { ISocketFactory } from 'kafkajs';
import { Kafka } from './kafka.js';

const log = { debug: jest.fn(), info: jest.fn(), warn: jest.fn(), error: jest.fn(), fatal: jest.fn() };

describe('a connection to Kafka', () => {
  it('that is closed is not made again by who asks something afterwards', async () => {
    const socketFactory = jest.fn<ISocketFactory>(({ host, port, onConnect }) => connect(port, host, onConnect));
    // Nobody listens there.
    const kafka = new Kafka({ brokers: ['127.0.0.1:1'], ssl: false, clientId: 'spec', topicPrefix: 'spec' }, log, { socketFactory });
    await kafka.close();
    await expect(kafka.ping()).rejects.toMatchObject({ code: 'closed' });
    await expect(kafka.partitions('spec.topic')).rejects.toMatchObject({ code: 'closed' });
    expect(socketFactory).not.toHaveBeenCalled();
  });
});
