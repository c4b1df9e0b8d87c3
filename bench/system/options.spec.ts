import { describe, expect, it } from '@jest/globals';
import { parseOptions, PARTS } from './options.ts';

describe('what can be asked of the bench', () => {
  it('is everything, unless said', () => {
    expect(parseOptions([])).toEqual({ isQuick: false, parts: PARTS, isSaved: false, isProfiled: false });
  });

  it('is some parts, in the order in which they are done', () => {
    expect(parseOptions(['--quick', '--only', 'recovery,idle', '--save'])).toMatchObject({ isQuick: true, isSaved: true, parts: ['idle', 'recovery'] });
    expect(parseOptions(['--only=', '--profile'])).toMatchObject({ parts: [], isProfiled: true });
    expect(parseOptions(['--only=bare'])).toMatchObject({ parts: ['bare'] });
  });

  it.each([[['--only', 'nothing'], 'no such part'], [['--fast'], 'unknown argument']])('is not %j', (args, problem) => {
    expect(parseOptions(args)).toContain(problem);
  });
});
