import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { startAlone, type Alone } from './alone.ts';

export type RegistryAlone = Alone & {
  /** Runs one of the registry's commands; resolves with its seconds. */
  command(...args: readonly string[]): { readonly seconds: number; readonly lastLine: string };
};

export const startRegistry = async (): Promise<RegistryAlone> => {
  const alone = await startAlone('subscription-registry');
  return {
    ...alone,
    command: (...args) => {
      const startedMs = performance.now();
      const { status, stdout, stderr } = spawnSync(process.execPath, [join(alone.app, 'bin', 'posthorn-registry.mjs'), ...args], { env: alone.env, encoding: 'utf8' });
      if (status !== 0) throw new Error(`posthorn-registry ${args.join(' ')} ended with ${status}: ${stderr}`);
      return { seconds: (performance.now() - startedMs) / 1_000, lastLine: `${stderr}${stdout}`.trim().split('\n').at(-1) ?? '' };
    },
  };
};
