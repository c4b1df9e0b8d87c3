import { describe, expect, it, jest } from '@jest/globals';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { NODE_FLAGS, repositoryRoot } from '@posthorn/testkit';
import { startProcess } from './service-process.js';

/** A second of work for a machine that has nothing else to do; it is measured by bytes, not by time. */
jest.setTimeout(30_000);

/** Fills the young generation as often as it takes to see how large it becomes, and prints that. */
const GROWS = `
  const { getHeapSpaceStatistics } = require('node:v8');
  const kept = [];
  for (let n = 0; n < 2_000_000; n += 1) kept[n % 100_000] = { n, text: String(n) };
  console.log(getHeapSpaceStatistics().find((space) => space.space_name === 'new_space').space_size);
`;

/**
 * Lets everything become old that it holds, and holds it no longer; prints how much there was at most, as a multiple of what is alive. The growth counts
 * from a whole collection, so one comes first: when V8 begins with them by itself is a guess that other processes have a part in. And it marks in one go when
 * the heap has grown as far as it may: what is marked beside the program takes as long as others let it, while the heap goes on growing.
 */
const CHURNS = `
  const v8 = require('node:v8');
  v8.setFlagsFromString('--no-incremental-marking');
  v8.setFlagsFromString('--expose-gc');
  const collect = require('node:vm').runInNewContext('gc');
  const used = () => v8.getHeapSpaceStatistics().find((space) => space.space_name === 'old_space').space_used_size;
  const kept = [];
  let most = 0;
  for (let n = 0; n < 6_000_000; n += 1) {
    kept[n % 500_000] = { n, text: [n] };
    if (n === 500_000) collect();
    if (n > 500_000 && n % 10_000 === 0) most = Math.max(most, used());
  }
  collect();
  console.log(kept.length > 0 ? most / used() : 0);
`;

/** What a script prints that runs as a service does. */
const printed = async (script: string): Promise<number> => {
  const folder = mkdtempSync(join(tmpdir(), 'posthorn-'));
  try {
    const [main, logFile] = [join(folder, 'main.cjs'), join(folder, 'log')];
    writeFileSync(main, script);
    const { how } = await startProcess({ main, url: 'http://127.0.0.1:9', env: process.env, logFile }).ended;
    expect(how).toBe('exit 0');
    return Number(readFileSync(logFile, 'utf8'));
  } finally {
    rmSync(folder, { recursive: true });
  }
};

describe('the process of a service', () => {
  it('has a young generation of 32 MiB at most', async () => {
    expect(await printed(GROWS)).toBeLessThanOrEqual(32 * 1024 * 1024);
  });

  it('does not let its old generation grow to three times what is alive', async () => {
    expect(await printed(CHURNS)).toBeLessThan(3);
  });

  it('is started with the same flags in the image', () => {
    expect(readFileSync(join(repositoryRoot, 'deploy/docker/entrypoint.sh'), 'utf8')).toContain(`exec node ${NODE_FLAGS.join(' ')} "$main"`);
  });
});
