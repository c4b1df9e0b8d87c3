import { describe, expect, it } from '@jest/globals';
import { lastError } from './log-lines.js';

const line = (level: string, msg: string, message?: string): string => JSON.stringify({ level, msg, ...(message && { err: { message } }) });

describe('the last error of a log', () => {
  it.each([
    ['the last one that is an error', [line('error', 'first'), line('fatal', 'could not start', 'no broker\nat all'), line('info', 'shut down')], 'could not start: no broker'],
    ['an error that says the same twice, once', [line('error', 'no broker', 'no broker')], 'no broker'],
    ['what Node prints when a module is missing', ['node:internal/modules:1', "Error [ERR_MODULE_NOT_FOUND]: Cannot find package 'x'", '    at resolve (a:1:2)', '', 'Node.js v24.21.0'], "Error [ERR_MODULE_NOT_FOUND]: Cannot find package 'x'"],
    ['the last plain line that is none of the noise', ['The configuration has 1 error:', '  PORT  a whole number', ''], 'PORT  a whole number'],
    ['nothing, of a log without errors', [line('info', 'listening'), ''], undefined],
  ])('is %s', (_, lines, expected) => {
    expect(lastError(lines.join('\n'))).toBe(expected);
  });
});
