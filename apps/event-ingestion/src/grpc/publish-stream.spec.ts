import { describe, expect, it } from '@jest/globals';
import type { PublishStreamRequest, PublishStreamResponse } from '@posthorn/contracts/grpc/ingestion';
import { publishStream, type StreamLimits } from './publish-stream.js';

const tick = (): Promise<void> => new Promise((resolve) => void setImmediate(resolve));

const requestOf = (sequence: number, bytes = 1): PublishStreamRequest => ({
  sequence,
  tenant: 't',
  event: { type: 'a', data: new Uint8Array(bytes), time: undefined, headers: {}, extensions: {} },
});

/** A stream of requests, of which the test sees how many were taken, and a Kafka and a client that answer when it says. */
const streaming = (requests: readonly PublishStreamRequest[], limits: StreamLimits) => {
  const taken: number[] = [];
  const heard: number[] = [];
  const acknowledge = new Map<number, (error?: Error) => void>();
  const read: (() => void)[] = [];
  const source = async function* (): AsyncGenerator<PublishStreamRequest> {
    for (const request of requests) {
      taken.push(request.sequence);
      yield request;
    }
  };
  const publish = ({ sequence }: PublishStreamRequest): Promise<PublishStreamResponse> =>
    new Promise((resolve, reject) => {
      acknowledge.set(sequence, (error) => (error ? reject(error) : resolve({ sequence, result: undefined })));
    });
  const say = ({ sequence }: PublishStreamResponse): Promise<void> =>
    new Promise((resolve) => {
      heard.push(sequence);
      read.push(resolve);
    });
  const ended = publishStream({ requests: source(), say }, publish, limits);
  return { taken, heard, acknowledge, read, ended };
};

const few = [1, 2, 3, 4, 5].map((sequence) => requestOf(sequence));

describe('a stream of events', () => {
  it('is read no further while as many events wait as may, until answers are written', async () => {
    const { taken, acknowledge, read } = streaming(few, { events: 2, bytes: 1_000 });
    await tick();
    expect(taken).toEqual([1, 2]);
    acknowledge.get(2)?.();
    await tick();
    // Acknowledged by Kafka; its answer is not yet taken by the network.
    expect(taken).toEqual([1, 2]);
    read[0]?.();
    await tick();
    expect(taken).toEqual([1, 2, 3]);
  });

  it.each([
    ['id', { id: 'x'.repeat(60) }],
    ['subject', { subject: 'x'.repeat(60) }],
    ['headers', { headers: { name: 'x'.repeat(60) } }],
    ['extensions', { extensions: { name: 'x'.repeat(60) } }],
  ])('counts the bytes of %s, too', async (_, more) => {
    const requests = few.map((request) => ({ ...request, event: request.event && { ...request.event, ...more } }));
    const { taken } = streaming(requests, { events: 100, bytes: 100 });
    await tick();
    expect(taken).toEqual([1, 2]);
  });

  it('is read no further while as many bytes wait as may', async () => {
    const { taken, acknowledge, read } = streaming([requestOf(1, 60), requestOf(2, 60), requestOf(3, 1)], { events: 100, bytes: 100 });
    await tick();
    expect(taken).toEqual([1, 2]);
    acknowledge.get(1)?.();
    await tick();
    read[0]?.();
    await tick();
    expect(taken).toEqual([1, 2, 3]);
  });

  it('is answered in the order in which Kafka acknowledges', async () => {
    const { heard, acknowledge } = streaming(few, { events: 100, bytes: 1_000 });
    await tick();
    for (const sequence of [3, 1, 2]) {
      acknowledge.get(sequence)?.();
      await tick();
    }
    expect(heard).toEqual([3, 1, 2]);
  });

  it('ends when all is answered, and not before', async () => {
    const { acknowledge, read, ended } = streaming(few, { events: 100, bytes: 1_000 });
    let isOver = false;
    void ended.then(() => (isOver = true));
    await tick();
    for (const answer of acknowledge.values()) answer();
    await tick();
    for (const take of read.slice(1)) take();
    await tick();
    expect(isOver).toBe(false);
    read[0]?.();
    await ended;
  });

  it('fails by our fault after the others are answered', async () => {
    const { taken, heard, acknowledge, read, ended } = streaming(few, { events: 2, bytes: 1_000 });
    await tick();
    acknowledge.get(1)?.(new Error('a bug'));
    await tick();
    acknowledge.get(2)?.();
    await tick();
    read[0]?.();
    await expect(ended).rejects.toThrow('a bug');
    expect([taken, heard]).toEqual([[1, 2, 3], [2]]);
  });
});
