import { existsSync, readdirSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { install } from './install.mjs';
import { chooseNode } from './node.mjs';
import { become, endWithNpm } from './processes.mjs';

const root = resolve(import.meta.dirname ?? dirname(new URL(import.meta.url).pathname), '..', '..');

const benches = () => {
  const dir = join(root, 'bench');
  return existsSync(dir) ? readdirSync(dir).flatMap((file) => (/^[a-z-]+\.ts$/.test(file) ? [file.slice(0, -3)] : [])) : [];
};

/** The script and arguments of a command; a string says why there is none. */
const commandOf = (name, rest) => {
  switch (name) {
    case 'start':
      return ['scripts/lib/start.mjs', rest];
    case 'test':
      return ['scripts/lib/test.mjs', rest];
    case 'bench': {
      // Without a name it is the whole system's.
      if (rest.length === 0 || rest[0].startsWith('--')) return ['scripts/lib/bench.mjs', ['system/main', ...rest]];
      const [bench, ...args] = rest;
      return benches().includes(bench)
        ? ['scripts/lib/bench.mjs', [bench, ...args]]
        : `npm run bench for the whole system, or npm run bench <name>, one of: ${benches().join(', ')}`;
    }
    case 'simulate':
      return ['scripts/lib/simulate.mjs', rest];
    default:
      return 'node scripts/run.mjs start | test | bench | simulate';
  }
};

const fail = (error) => {
  process.stderr.write(`${error instanceof Error ? error.message : error}\n`);
  process.exitCode = 1;
};

/** Installs what is missing, then hands over to the command under the Node that Posthorn needs. */
export const launch = async ([name, ...rest]) => {
  try {
    const command = commandOf(name, rest);
    if (typeof command === 'string') return fail(command);
    const [script, args] = command;
    endWithNpm();
    await install(root);
    const node = chooseNode(root);
    const env = { ...process.env, POSTHORN_LAUNCHED: '1', PATH: `${dirname(node)}:${join(root, 'node_modules', '.bin')}:${process.env.PATH}` };
    process.exitCode = await become(node, [join(root, script), ...args], env);
  } catch (error) {
    fail(error);
  }
};
