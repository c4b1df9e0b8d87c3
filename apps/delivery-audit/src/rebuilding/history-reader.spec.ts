import { describe, expect, it } from '@jest/globals';
import { frame, SCHEMA_HEADER, SCHEMA_VERSION, type Envelope } from '@posthorn/contracts';
import type { FollowedRecord, Following, FollowOptions } from '@posthorn/kafka';
import type { Rows } from '../loading/rows.js';
import { HistoryReader } from './history-reader.js';

const MIB = 1024 * 1024;
const settled = (): Promise<void> => new Promise((resolve) => void setImmediate(resolve));

/** Topics that hand over what a test tells them to. */
class FakeKafka {
  readonly options = new Map<string, FollowOptions>();

  topic = (name: string): string => name;

  async follow(options: FollowOptions): Promise<Following> {
    this.options.set(options.topic, options);
    return { caughtUp: Promise.resolve(), lag: 1, readToEnd: () => Promise.resolve(), close: () => Promise.resolve() };
  }

  /** An event with so much data, at this offset. */
  hand(offset: number, bytes = 2, version: string = SCHEMA_VERSION): void {
    const envelope: Envelope = {
      specversion: '1.0', id: `e${offset}`, tenant: 'default', type: 'invoice.paid', source: '/', time: '2026-11-20T10:00:00.000Z', acceptedtime: '2026-11-20T10:00:00.000Z',
    };
    const value = frame(envelope, Buffer.from(JSON.stringify('x'.repeat(bytes))));
    const record: FollowedRecord = { partition: 0, offset: String(offset), key: null, value, timestampMs: 0, headers: { [SCHEMA_HEADER]: Buffer.from(version) } };
    this.options.get('events.accepted')?.onRecord(record);
  }
}

const reading = async (load: (rows: Rows) => Promise<unknown>) => {
  const kafka = new FakeKafka();
  const reader = new HistoryReader(kafka, load);
  await reader.start(new Map([['events.accepted', new Map([[0, 5]])]]));
  return { kafka, reader };
};

describe('reading the topics again', () => {
  it('has loaded what was there when it says so, and tells how far it is', async () => {
    const loaded: string[] = [];
    const { kafka, reader } = await reading(async ({ events }) => {
      await settled();
      loaded.push(...events.map(({ id }) => id));
    });
    for (const offset of [5, 6, 7]) kafka.hand(offset);
    await reader.readToEnd();
    expect(loaded).toEqual(['e5', 'e6', 'e7']);
    expect(reader.standing).toEqual({ read: 3, left: 8 });
  });

  it('ends at a gap: what was deleted before it was read would be missing in the tables', async () => {
    const { kafka, reader } = await reading(() => Promise.resolve());
    kafka.hand(5);
    kafka.hand(8);
    await expect(reader.readToEnd()).rejects.toThrow('events.accepted[0]@8: records from 6 on were deleted before they were read');
  });

  it.each([
    ['cannot be read', (kafka: FakeKafka) => kafka.hand(5, 2, '2'), () => Promise.resolve(), 'schema version 2 is not known'],
    ['cannot be loaded', (kafka: FakeKafka) => kafka.hand(5), () => Promise.reject(new Error('disk full')), 'disk full'],
  ])('ends at what %s', async (_, hand, load, why) => {
    const { kafka, reader } = await reading(load);
    hand(kafka);
    await expect(reader.readToEnd()).rejects.toThrow(why);
    await reader.close();
  });

  it('fetches no more while too much waits to be loaded', async () => {
    const { promise, resolve: finish } = Promise.withResolvers<void>();
    const { kafka, reader } = await reading(() => promise);
    let isAskedForMore = false;
    kafka.hand(5, 33 * MIB);
    void kafka.options.get('events.accepted')?.whenReady?.().then(() => (isAskedForMore = true));
    await settled();
    await settled();
    expect(isAskedForMore).toBe(false);
    finish();
    await reader.readToEnd();
    expect(isAskedForMore).toBe(true);
  });
});
