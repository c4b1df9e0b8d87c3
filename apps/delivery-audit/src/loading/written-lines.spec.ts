import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import type { Logger } from '@posthorn/kafka';
import { NOTHING, type Written } from './loader.js';
import { WrittenLines } from './written-lines.js';

const written = (some: Partial<Written>): Written => ({ ...NOTHING, ...some });

const ignore = (): void => undefined;

const toldTo = (): { readonly lines: WrittenLines; readonly told: object[] } => {
  const told: object[] = [];
  const log: Logger = { debug: ignore, info: (fields) => void told.push(fields), warn: ignore, error: ignore, fatal: ignore };
  return { lines: new WrittenLines(log), told };
};

describe('the lines of what was written', () => {
  beforeEach(() => void jest.useFakeTimers());
  afterEach(() => void jest.useRealTimers());

  it('tell the first batch at once, without what it had none of', () => {
    const { lines, told } = toldTo();
    lines.add(written({ events: 2, attempts: 3 }), 0.0124);
    expect(told).toEqual([{ batches: 1, rows: { events: 2, attempts: 3 }, busy_ms: 12, longest_ms: 12 }]);
  });

  it('tell the sums of what follows after ten seconds, and nothing when nothing followed', () => {
    const { lines, told } = toldTo();
    lines.add(written({ events: 1 }), 0.001);
    lines.add(written({ attempts: 5 }), 0.02);
    lines.add(written({ attempts: 6, events: 1 }), 0.03);
    jest.advanceTimersByTime(9_999);
    expect(told).toHaveLength(1);
    jest.advanceTimersByTime(1);
    expect(told[1]).toEqual({ batches: 2, rows: { attempts: 11, events: 1 }, busy_ms: 50, longest_ms: 30 });
    jest.advanceTimersByTime(60_000);
    expect(told).toHaveLength(2);
    lines.add(written({ events: 1 }), 0.001);
    expect(told).toHaveLength(3);
  });

  it('tell the rest at the end', () => {
    const { lines, told } = toldTo();
    lines.add(written({ events: 1 }), 0.001);
    lines.add(written({ events: 2 }), 0.001);
    lines.close();
    expect(told[1]).toMatchObject({ rows: { events: 2 } });
    expect(jest.getTimerCount()).toBe(0);
  });
});
