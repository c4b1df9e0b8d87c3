import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { generate } from './generate.mjs';
import { capture } from './processes.mjs';
import { step } from './progress.mjs';

const SKIPPED = new Set(['node_modules', 'dist']);

/** Path, size and time of every file below, in order. */
const listing = (dir) =>
  readdirSync(dir, { withFileTypes: true })
    .toSorted((a, b) => (a.name < b.name ? -1 : 1))
    .flatMap((entry) => {
      const path = join(dir, entry.name);
      if (entry.isDirectory()) return SKIPPED.has(entry.name) ? [] : listing(path);
      const { size, mtimeMs } = statSync(path);
      return [`${path} ${size} ${mtimeMs}`];
    });

const projects = (root) => ['libs', 'apps'].flatMap((group) => readdirSync(join(root, group)).map((name) => `${group}/${name}`));

/** What the build depends on: sources and settings, and that its results are still there. */
const fingerprint = (root) => {
  const hash = createHash('sha256');
  for (const file of ['tsconfig.base.json', 'tsconfig.json', 'package-lock.json']) hash.update(readFileSync(join(root, file)));
  for (const project of projects(root)) {
    const built = existsSync(join(root, project, 'dist', '.tsbuildinfo'));
    hash.update(`${project} ${built}\n`);
    for (const part of ['src', 'package.json', 'tsconfig.json']) {
      const path = join(root, project, part);
      if (existsSync(path)) hash.update(statSync(path).isDirectory() ? listing(path).join('\n') : readFileSync(path));
    }
  }
  return hash.digest('hex');
};

/** `path:line:column error TS…`, one a line. */
export const compile = (root, args) => capture(process.execPath, [join(root, 'node_modules', 'typescript', 'bin', 'tsc'), '-b', '--pretty', 'false', ...args], { cwd: root });

/** Builds libs and apps, unless nothing has changed since the last time: asking the compiler takes seconds, this milliseconds. */
export const build = async (root) => {
  await generate(root);
  const stamp = join(root, '.posthorn', 'build');
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === fingerprint(root)) return;
  rmSync(stamp, { force: true });
  await step('Building', async () => {
    const { status, output } = await compile(root, projects(root));
    if (status !== 0) {
      const errors = output.split('\n').filter((line) => line.includes('error TS')).length;
      throw new Error(`${output.trim()}\nThe build is broken: ${errors} ${errors === 1 ? 'error' : 'errors'}, see above.`);
    }
  });
  mkdirSync(dirname(stamp), { recursive: true });
  writeFileSync(stamp, fingerprint(root));
};
