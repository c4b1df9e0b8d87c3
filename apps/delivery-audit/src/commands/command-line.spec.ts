import { describe, expect, it } from '@jest/globals';
import { parseCommandLine } from './command-line.js';

const NOW = Date.parse('2026-11-20T10:00:00Z');
const parse = (line: string) => parseCommandLine(line.split(' ').filter(Boolean), NOW);

describe('parseCommandLine', () => {
  it.each([
    ['rebuild --from 2026-11-18', { kind: 'rebuild', firstDay: '2026-11-18', verify: false }],
    ['rebuild --from 2026-11-18T00:00:00Z --verify', { kind: 'rebuild', firstDay: '2026-11-18', verify: true }],
    ['rebuild --from=2026-11-18T00:00:00.001Z', { kind: 'rebuild', firstDay: '2026-11-19', verify: false }],
    ['rebuild --from 2026-11-18T01:00:00+01:00', { kind: 'rebuild', firstDay: '2026-11-18', verify: false }],
    ['--help', { kind: 'help' }],
    ['rebuild -h', { kind: 'help' }],
  ])('understands %s', (line, command) => {
    expect(parse(line)).toEqual(command);
  });

  it.each([
    ['', /which command/],
    ['destroy', /no command destroy/],
    ['rebuild', /--from is missing/],
    ['rebuild --from yesterday', /no day and no time: yesterday/],
    ['rebuild --from 2026-13-40', /no day and no time/],
    ['rebuild --from 1763596800000', /no day and no time/],
    ['rebuild --from 2026-11-20T09:00:00Z', /no day has begun since/],
    ['rebuild --from 2026-11-18 --force', /--force/],
    ['rebuild --from 2026-11-18 everything', /everything/],
  ])('refuses %j, and says why', (line, why) => {
    expect(parse(line)).toEqual({ kind: 'wrong', message: expect.stringMatching(why) });
  });
});
