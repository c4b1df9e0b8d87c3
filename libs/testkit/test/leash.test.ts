import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { eventually } from '@posthorn/testkit';
import { isAlive } from '../src/stack/processes.js';

const leashModule = resolve(import.meta.dirname, '..', 'dist', 'stack', 'leash.js');

/** Holds a leash on a server of the given shell script, and says `up`. */
const holder = (folder: string, script: string, graceMs: number): ChildProcess =>
  spawn(
    process.execPath,
    [
      '--input-type=module',
      '-e',
      `import { startLeashed } from ${JSON.stringify(leashModule)};
       startLeashed({ command: ['sh', '-c', ${JSON.stringify(script)}], logFile: '${folder}/log', pidFile: '${folder}/pid', signal: 'TERM', graceMs: ${graceMs} });
       process.stdout.write('up');`,
    ],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  );

describe('a server on a leash', () => {
  let folder = '';
  const pidOf = (): number => Number(readFileSync(join(folder, 'pid'), 'utf8'));
  const text = (file: string): string => readFileSync(join(folder, file), 'utf8');

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'posthorn-leash-'));
  });

  afterEach(() => {
    rmSync(folder, { recursive: true, force: true });
  });

  const running = async (script: string, graceMs = 5_000): Promise<{ parent: ChildProcess; server: number }> => {
    const parent = holder(folder, `${script}\necho running; while :; do sleep 0.1; done`, graceMs);
    await once(parent.stdout as NodeJS.ReadableStream, 'data');
    await eventually(() => text('log').includes('running'));
    // The server may speak before the one that started it has written its number down.
    return { parent, server: await eventually(pidOf) };
  };

  it('is asked to stop when its parent is killed by force, and gets the time to', async () => {
    const { parent, server } = await running(`trap 'echo stopped cleanly; exit 0' TERM`);
    parent.kill('SIGKILL');
    await eventually(() => !isAlive(server), { describe: 'the end of the server' });
    expect(text('log')).toContain('stopped cleanly');
  });

  it('is killed when it does not stop in time', async () => {
    // A shell hears a signal only when what it waits for has ended, and it has got the processor again.
    const { parent, server } = await running(`trap 'echo heard' TERM`, 3_000);
    parent.kill('SIGKILL');
    await eventually(() => !isAlive(server), { describe: 'the end of the server' });
    expect(text('log')).toContain('heard');
  });

  it('ends also when the process between it and its parent was killed before', async () => {
    const { parent, server } = await running(':');
    const stat = readFileSync(`/proc/${server}/stat`, 'utf8');
    process.kill(Number(/\) . (\d+)/.exec(stat)?.[1]), 'SIGKILL');
    parent.kill('SIGKILL');
    await eventually(() => !isAlive(server), { describe: 'the end of the server' });
    expect(isAlive(server)).toBe(false);
  });
});
