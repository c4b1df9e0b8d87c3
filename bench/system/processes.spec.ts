import { describe, expect, it } from '@jest/globals';
import { parseMemory, parseStat, sumUsage } from './processes.ts';

describe('what the system tells of a process', () => {
  it('is read after the name, whatever the name holds', () => {
    const stat = '4711 (a) b (c) S 1 4711 4711 0 -1 4194560 9 8 7 6 250 50 1000 500 20 0 11 0 123456 1 2 3';
    expect(parseStat(stat)).toEqual({ own: 3, endedChildren: 15 });
  });

  it('is nothing of one that has ended', () => {
    expect([parseStat(''), parseMemory('')]).toEqual([{ own: 0, endedChildren: 0 }, { own: 0, shared: 0 }]);
  });

  it('has memory that is shared apart', () => {
    expect(parseMemory('Name:\tx\nVmRSS:\t    3000 kB\nRssAnon:\t 1000 kB\nRssShmem:\t    1200 kB\n')).toEqual({ own: 1_800 * 1_024, shared: 1_200 * 1_024 });
  });
});

describe('a process with its children', () => {
  it('has the CPU of all, also of those that have ended, and shared memory once', () => {
    const usage = sumUsage([
      { cpu: { own: 1, endedChildren: 5 }, memory: { own: 10, shared: 100 } },
      { cpu: { own: 2, endedChildren: 0 }, memory: { own: 20, shared: 70 } },
    ]);
    expect(usage).toEqual({ cpuSeconds: 8, rssBytes: 130 });
  });
});
