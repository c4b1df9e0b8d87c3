import { describe, expect, it } from '@jest/globals';
import { Child } from './spec-support/child.js';

const life = (env: Readonly<Record<string, string>> = {}): Child => new Child('life.ts', env);

describe('LifeCycle', () => {
  it.each(['SIGTERM', 'SIGINT'] as const)('on %s closes what was opened last first, and exits 0', async (signal) => {
    const child = life();
    await child.line('up');
    child.process.kill(signal);
    expect(await child.exitCode).toBe(0);
    expect(child.messages).toEqual(['up', 'shutting down', 'closed: third', 'closed: second', 'closed: first', 'shut down']);
    expect(child.lines[2]).toMatchObject({ duration_ms: expect.any(Number) });
  });

  it('goes on after a step that fails, and exits 1', async () => {
    const child = life({ FAULT: 'failing' });
    await child.line('up');
    child.process.kill('SIGTERM');
    expect(await child.exitCode).toBe(1);
    expect(child.messages).toEqual(['up', 'shutting down', 'closed: third', 'closing failed: second', 'closed: first', 'shut down']);
  });

  it('does not wait for ever for a step that hangs: it says which, and exits 1', async () => {
    const child = life({ FAULT: 'hanging', DEADLINE_MS: '100' });
    await child.line('up');
    child.process.kill('SIGTERM');
    expect(await child.exitCode).toBe(1);
    expect(child.messages.at(-1)).toBe('shutting down took too long: second');
  });

  it('does what is added while it shuts down', async () => {
    const child = life({ FAULT: 'late' });
    await child.line('up');
    child.process.kill('SIGTERM');
    expect(await child.exitCode).toBe(0);
    expect(child.messages).toContain('closed: late');
  });

  it('shuts down once, however many signals come', async () => {
    const child = life({ FAULT: 'hanging', DEADLINE_MS: '200' });
    await child.line('up');
    child.process.kill('SIGINT');
    await child.line('shutting down');
    child.process.kill('SIGTERM');
    await child.exitCode;
    expect(child.messages.filter((message) => message === 'shutting down')).toHaveLength(1);
  });

  it("follows its parent: the pipe's end is a signal", async () => {
    const child = life({ POSTHORN_EXIT_WITH_PARENT: '1' });
    await child.line('up');
    child.process.stdin.end();
    expect(await child.exitCode).toBe(0);
    expect(child.lines.find(({ msg }) => msg === 'shutting down')).toMatchObject({ reason: 'the parent process is gone' });
  });

  it('does not mind its input when it was not told to', async () => {
    const child = life();
    await child.line('up');
    child.process.stdin.end();
    child.process.kill('SIGTERM');
    expect(await child.exitCode).toBe(0);
    expect(child.lines.find(({ msg }) => msg === 'shutting down')).toMatchObject({ reason: 'SIGTERM' });
  });

  it.each([
    ['throwing', 'uncaught exception', 'nobody caught'],
    ['rejecting', 'unhandled rejection', 'nobody awaited'],
  ])('dies of an error nobody foresaw (%s), with its stack', async (fault, message, text) => {
    const child = life({ FAULT: fault });
    expect(await child.exitCode).toBe(1);
    expect(child.lines.at(-1)).toMatchObject({ level: 'fatal', msg: message, err: { message: text, stack: expect.stringContaining('life.ts') } });
  });
});
