import { describe, expect, it } from '@jest/globals';
import type { Kafka } from '@posthorn/kafka';
import { beginningsFor, TooFarBack } from './reach.js';

const NOW = Date.parse('2026-11-20T10:00:00Z');

/** Topics of two partitions; each holds what was written since some time, the registry's log everything. */
class FakeKafka implements Pick<Kafka, 'topic' | 'partitions' | 'since'> {
  readonly asked = new Map<string, number>();

  constructor(readonly keptSince: Readonly<Record<string, string>>) {}

  topic = (name: string): string => name;
  partitions = async (): Promise<number> => 2;

  async since(topic: string, timeMs: number): Promise<ReadonlyMap<number, number | undefined>> {
    if (!this.asked.has(topic)) this.asked.set(topic, timeMs);
    const isKept = timeMs >= Date.parse(this.keptSince[topic] ?? '1970-01-01');
    return new Map([[0, 7], [1, isKept ? 9 : undefined]]);
  }
}

describe('what a rebuild reads', () => {
  it('begins an hour before the first day, as clocks differ; of the registry’s log it is all', async () => {
    const kafka = new FakeKafka({});
    const beginnings = await beginningsFor(kafka, '2026-11-18', NOW);
    expect(beginnings.get('deliveries.attempted')).toEqual(new Map([[0, 7], [1, 9]]));
    expect(kafka.asked.get('deliveries.attempted')).toBe(Date.parse('2026-11-17T23:00:00Z'));
    expect(kafka.asked.get('registry.log')).toBe(0);
  });

  it('must all be there: it names the topics that do not reach back, and the first day that can be rebuilt', async () => {
    const kafka = new FakeKafka({ 'deliveries.attempted': '2026-11-18T23:00:00Z', 'events.accepted': '2026-11-18T00:00:00Z' });
    const asking = beginningsFor(kafka, '2026-11-18', NOW);
    await expect(asking).rejects.toBeInstanceOf(TooFarBack);
    await expect(asking).rejects.toThrow('events.accepted, deliveries.attempted may no longer hold all that was written since the beginning of 2026-11-18; the first day that can be rebuilt is 2026-11-19');
  });

  it('may be nothing yet', async () => {
    const kafka = new FakeKafka({ 'deliveries.rounds': '2026-11-19T23:30:00Z' });
    await expect(beginningsFor(kafka, '2026-11-20', NOW)).rejects.toThrow('no day can be rebuilt yet');
  });
});
