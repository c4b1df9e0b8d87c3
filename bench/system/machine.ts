import { execFileSync } from 'node:child_process';
import { arch, cpus, platform, totalmem } from 'node:os';
import { KAFKA_VERSION, repositoryRoot } from '@posthorn/testkit';
import type { Bench } from './bench.ts';

/** What figures depend on; never what the machine is called or where anything lies on it. */
export type Machine = {
  readonly cpu: string;
  readonly cores: number;
  readonly memoryGiB: number;
  readonly system: string;
  readonly node: string;
  readonly kafka: string;
  readonly postgres: string;
  readonly commit: string;
  /** Sources that were not committed were measured with it. */
  readonly isModified: boolean;
};

const git = (...args: readonly string[]): string => execFileSync('git', [...args], { cwd: repositoryRoot, encoding: 'utf8' }).trim();

export const describeMachine = async ({ database, system }: Bench): Promise<Machine> => {
  const { rows } = await database.query<{ server_version: string }>('show server_version');
  return {
    cpu: cpus()[0]?.model.trim() ?? 'unknown',
    cores: cpus().length,
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    system: `${platform()} ${arch()}`,
    node: process.version,
    // Of one that is not ours nobody has asked.
    kafka: 'kafka' in system.processes() ? KAFKA_VERSION : 'of the environment',
    postgres: rows[0]?.server_version ?? 'unknown',
    commit: git('rev-parse', '--short=9', 'HEAD'),
    isModified: git('status', '--porcelain', '--untracked-files=no', '--', 'apps', 'libs', 'bench', 'package-lock.json') !== '',
  };
};
