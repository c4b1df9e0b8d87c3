import { describe, expect, it } from '@jest/globals';
import { ofAll, ofServices, perThousand, spentBetween } from './sampler.ts';

const sample = (seconds: number, cpu: Readonly<Record<string, number>>) => ({
  seconds,
  usage: Object.fromEntries(Object.entries(cpu).map(([name, cpuSeconds]) => [name, { cpuSeconds, rssBytes: 0 }])),
});

describe('what was spent', () => {
  const spent = spentBetween(sample(10, { dispatcher: 5, kafka: 7, sink: 1, launcher: 1 }), sample(14, { dispatcher: 6, kafka: 9, sink: 1.5, launcher: 1.25, postgres: 2 }));

  it('is the difference, by process; one that came meanwhile counts from its start', () => {
    expect(spent).toEqual({ seconds: 4, cpuSeconds: { dispatcher: 1, kafka: 2, sink: 0.5, launcher: 0.25, postgres: 2 } });
  });

  it('counts a process that was started again from its new start', () => {
    expect(spentBetween(sample(0, { dispatcher: 50 }), sample(1, { dispatcher: 0.5 })).cpuSeconds).toEqual({ dispatcher: 0.5 });
  });

  it('is summed with and without what belongs to the bench', () => {
    expect([ofServices(spent), ofAll(spent)]).toEqual([5, 5.75]);
  });

  it('is told for a thousand deliveries', () => {
    expect(perThousand(spent, 500)).toMatchObject({ dispatcher: 2, kafka: 4 });
  });
});
