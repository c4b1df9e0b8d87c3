import { describe, expect, it } from '@jest/globals';
import { Newcomers } from './newcomers.js';

const known = (table: string, code = '23505'): Error => Object.assign(new Error('duplicate key'), { code, table });

describe('what is taken for new', () => {
  it('are rows of the tables that most comes into', () => {
    const newcomers = new Newcomers();
    expect((['events', 'decisions', 'deliveries', 'attempts', 'rounds', 'configuration'] as const).map((table) => newcomers.areExpected(table))).toEqual([true, true, true, true, false, false]);
  });

  it('is not, in the table where a row was known, for the next batches', () => {
    const newcomers = new Newcomers();
    expect(newcomers.wereWrong(known('attempts_20261122'))).toBe(true);
    expect([newcomers.areExpected('attempts'), newcomers.areExpected('events')]).toEqual([false, true]);
    for (let batch = 0; batch < 31; batch += 1) newcomers.batchWritten();
    expect(newcomers.areExpected('attempts')).toBe(false);
    newcomers.batchWritten();
    expect(newcomers.areExpected('attempts')).toBe(true);
  });

  it.each([
    ['the row of a table whose rows are merged', known('configuration')],
    ['the row of a table already merged', known('events_20261122')],
    ['another error', known('attempts_20261122', '22021')],
    ['what names no table', Object.assign(new Error('duplicate key'), { code: '23505' })],
  ])('is not to blame for %s: it would fail for ever', (_, error) => {
    const newcomers = new Newcomers();
    newcomers.wereWrong(known('events_20261122'));
    expect(newcomers.wereWrong(error)).toBe(false);
  });
});
