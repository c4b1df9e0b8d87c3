import { describe, expect, it } from '@jest/globals';
import { createLog, NestLog, type Log } from './log.js';

const recording = (level = 'trace'): { log: Log; lines: Record<string, unknown>[] } => {
  const lines: Record<string, unknown>[] = [];
  const write = (line: string): void => void lines.push(JSON.parse(line) as Record<string, unknown>);
  return { log: createLog('dispatcher', level, { write }), lines };
};

describe('createLog', () => {
  it('writes JSON lines with the service, the level in words and the time', () => {
    const { log, lines } = recording('info');
    log.info({ port: 1 }, 'listening');
    log.debug({}, 'not seen');
    expect(lines).toEqual([
      { level: 'info', time: expect.stringMatching(/^\d{4}-.*Z$/), service: 'dispatcher', port: 1, msg: 'listening' },
    ]);
  });

  it.each(['authorization', 'Authorization', 'set-cookie', 'client_secret', 'secret', 'password', 'PGPASSWORD', 'api_key', 'x-api-key', 'adminApiKey', 'POSTHORN_ADMIN_API_KEY', 'access_token', 'x-auth-token', 'token', 'POSTHORN_ENCRYPTION_KEYS', 'OTEL_EXPORTER_OTLP_HEADERS'])(
    'redacts %s at any depth',
    (name) => {
      const { log, lines } = recording();
      log.info({ [name]: 'hunter2', request: { headers: [{ [name]: 'hunter2' }] } }, 'x');
      expect(JSON.stringify(lines)).not.toContain('hunter2');
      expect(JSON.stringify(lines)).toContain('[redacted]');
    },
  );

  it('leaves what only sounds like a secret', () => {
    const { log, lines } = recording();
    const fields = { page_token: 'p', key: 'k', keys: 3, key_id: 'i', secretary: 's', password: null };
    log.info(fields, 'x');
    expect(lines[0]).toMatchObject(fields);
  });

  it('keeps an error whole but for its secrets, and does not change what it was given', () => {
    const { log, lines } = recording();
    const fields = { err: Object.assign(new Error('broken'), { headers: { authorization: 'hunter2' } }), password: 'hunter2' };
    log.error(fields, 'x');
    expect(lines[0]).toMatchObject({ err: { type: 'Error', message: 'broken', stack: expect.stringContaining('log.spec'), headers: { authorization: '[redacted]' } } });
    expect(fields.err.headers.authorization).toBe('hunter2');
    expect(fields.password).toBe('hunter2');
  });

  it('survives a value that holds itself', () => {
    const { log, lines } = recording();
    const loop: Record<string, unknown> = {};
    loop['loop'] = loop;
    log.info(loop, 'x');
    expect(lines).toHaveLength(1);
  });
});

describe('NestLog', () => {
  it("puts Nest's context and stack into fields, and its chatter at debug", () => {
    const { log, lines } = recording();
    const nest = new NestLog(log);
    nest.log('mapped', 'Router');
    nest.error('broken', 'Error: broken\n at x', 'Injector');
    nest.warn('odd');
    nest.fatal(new Error('dead'));
    nest.debug({ a: 1 });
    nest.verbose('all');
    expect(lines).toMatchObject([
      { level: 'debug', context: 'Router', msg: 'mapped' },
      { level: 'error', context: 'Injector', stack: 'Error: broken\n at x', msg: 'broken' },
      { level: 'warn', msg: 'odd' },
      { level: 'fatal', msg: 'dead', err: { message: 'dead' } },
      { level: 'debug', msg: '{"a":1}' },
      { level: 'trace', msg: 'all' },
    ]);
  });
});
