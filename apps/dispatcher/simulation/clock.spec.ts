import { describe, expect, it } from '@jest/globals';
import { Clock, Life } from './clock.js';

const unexpected = (error: unknown): never => {
  throw error;
};

/** A clock, a life, and what happened to it when. */
const setUp = () => {
  const clock = new Clock();
  const life = new Life('p1');
  const log: string[] = [];
  const note = (what: string) => () => void log.push(`${clock.elapsedMs} ${what}`);
  const run = (untilMs = Infinity, maxEvents = 1_000) => clock.run({ untilMs: Clock.START_MS + untilMs, maxEvents, onError: unexpected });
  return { clock, life, log, note, run };
};

describe('virtual time', () => {
  it('goes from event to event, in their order, and those at the same time in the order in which they were planned', async () => {
    const { clock, life, log, note, run } = setUp();
    clock.after(life, 20, note('c'));
    clock.after(life, 10, note('a'));
    clock.after(life, 10, note('b'));
    clock.after(life, 5, note('never'))();
    await expect(run()).resolves.toBe('rest');
    expect(log).toEqual(['10 a', '10 b', '20 c']);
  });

  it('runs what promises set free before the next event', async () => {
    const { clock, life, log, note, run } = setUp();
    const chain = async (): Promise<void> => {
      await clock.sleep(life, 10);
      for (let n = 0; n < 100; n++) await Promise.resolve();
      note('chain')();
    };
    void chain();
    clock.after(life, 10, note('next'));
    await run();
    expect(log).toEqual(['10 chain', '10 next']);
  });

  it('ends with a life: nothing more happens to it', async () => {
    const { clock, life, log, note, run } = setUp();
    clock.after(life, 10, () => (life.isOver = true));
    clock.after(life, 10, note('never'));
    clock.after(new Life('p2'), 20, note('other'));
    await run();
    expect(log).toEqual(['20 other']);
  });

  it('lets what was to happen to a life that stands still happen afterwards, in its order', async () => {
    const { clock, life, log, note, run } = setUp();
    clock.after(life, 10, () => (life.stalledUntilMs = clock.nowMs + 90));
    clock.after(life, 20, note('a'));
    clock.after(life, 30, note('b'));
    clock.after(life, 150, note('c'));
    await run();
    expect(log).toEqual(['100 a', '100 b', '150 c']);
  });

  it('does what is periodic as long as something happens, and once more before the next thing does', async () => {
    const { clock, life, log, note, run } = setUp();
    clock.every(life, 100, note('tick'));
    clock.after(life, 250, note('work'));
    clock.after(life, 86_400_050, note('work'));
    await run();
    expect(log).toEqual(['100 tick', '250 tick', '250 work', '300 tick', '86400050 tick', '86400050 work', '86400100 tick']);
  });

  it('ends at its bounds', async () => {
    for (const [untilMs, maxEvents, ending] of [
      [1_000, 200, 'late'],
      [10_000, 200, 'endless'],
    ] as const) {
      const { clock, life, run } = setUp();
      const again = (): void => void clock.after(life, 10, again);
      again();
      await expect(run(untilMs, maxEvents)).resolves.toBe(ending);
    }
  });
});
