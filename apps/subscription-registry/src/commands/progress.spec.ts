import { expect, it } from '@jest/globals';
import { Progress } from './progress.js';

it('tells about every second how far it is and how fast it goes, and sums up', () => {
  const lines: string[] = [];
  let nowMs = 5_000;
  const progress = new Progress('events', (line) => lines.push(line), () => nowMs);
  const after = (ms: number, count: number): void => {
    nowMs += ms;
    progress.add(count);
  };
  after(500, 20_000);
  after(500, 20_000);
  after(999, 1);
  after(1_001, 5_999);
  expect(lines).toEqual(['40,000 events, 40,000 events/s', '46,000 events, 3,000 events/s']);
  expect(progress.summary()).toBe('46,000 events in 3.0 s, 15,333 events/s');
});

it('knows no rate of what took no time', () => {
  expect(new Progress('events', () => undefined, () => 0).summary()).toBe('0 events in 0.0 s');
});
