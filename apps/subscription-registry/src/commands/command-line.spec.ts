import { describe, expect, it } from '@jest/globals';
import { parseCommandLine } from './command-line.js';

describe('parseCommandLine', () => {
  it.each([
    ['rebuild', { kind: 'rebuild', verify: false }],
    ['rebuild --verify', { kind: 'rebuild', verify: true }],
    ['republish', { kind: 'republish', wait: true }],
    ['republish --wait=false', { kind: 'republish', wait: false }],
    ['reencrypt --wait true', { kind: 'reencrypt', wait: true }],
    ['--help', { kind: 'help' }],
    ['rebuild -h', { kind: 'help' }],
  ])('understands %s', (line, command) => {
    expect(parseCommandLine(line.split(' '))).toEqual(command);
  });

  it.each([
    ['', /which command/],
    ['destroy', /no command destroy/],
    ['rebuild --force', /--force/],
    ['rebuild everything', /everything/],
    ['republish --wait=perhaps', /true or false/],
    ['republish --verify', /--verify/],
  ])('refuses %j, and says why', (line, why) => {
    expect(parseCommandLine(line.split(' ').filter(Boolean))).toEqual({ kind: 'wrong', message: expect.stringMatching(why) });
  });
});
