import { resolve } from 'node:path';
import { build } from './build.mjs';
import { endWithLauncher } from './parent.mjs';

const root = resolve(import.meta.dirname, '..', '..');

try {
  endWithLauncher();
  await build(root);
  process.argv.splice(1, 1, resolve(root, 'apps/cli/dist/main.js'), 'start');
  await import('../../apps/cli/dist/main.js');
} catch (error) {
  process.stderr.write(`${error.message}\n`);
  process.exitCode = 1;
}
