import { resolve } from 'node:path';
import { build } from './build.mjs';
import { endWithLauncher } from './parent.mjs';

const root = resolve(import.meta.dirname, '..', '..');
const [, , name] = process.argv;

try {
  endWithLauncher();
  await build(root);
  process.argv.splice(1, 2, resolve(root, 'bench', `${name}.ts`));
  await import(`../../bench/${name}.ts`);
} catch (error) {
  process.stderr.write(`${error.stack ?? error}\n`);
  // A benchmark that failed half-way leaves servers and timers behind.
  process.exit(1);
}
