import { expect, it } from '@jest/globals';
import { Progress } from './progress.js';

it('tells about every second how far it is, how fast it goes and how long it will take, and sums up', () => {
  const lines: string[] = [];
  let nowMs = 5_000;
  const progress = new Progress((line) => lines.push(line), () => nowMs);
  const after = (ms: number, read: number, left: number): void => {
    nowMs += ms;
    progress.tell({ read, left });
  };
  after(500, 10_000, 190_000);
  after(500, 20_000, 180_000);
  after(999, 21_000, 179_000);
  after(1_001, 22_000, 1_000_000);
  after(1_000, 22_000, 20_000_000);
  after(1_000, 23_000, 20_000_000);
  after(1_000, 24_000, 0);
  expect(lines).toEqual([
    '20,000 records, 10 %, 20,000 records/s, 9 s left',
    '22,000 records, 2 %, 1,000 records/s, 17 min left',
    '22,000 records, 0 %, 0 records/s, at a standstill',
    '23,000 records, 0 %, 1,000 records/s, 5.6 h left',
    '24,000 records, 100 %, 1,000 records/s',
  ]);
  expect(progress.summary()).toBe('24,000 records in 6.0 s, 4,000 records/s');
});
