import { spawn } from 'node:child_process';
import { join, resolve } from 'node:path';
import { endWithLauncher } from './parent.mjs';
import { runFromSources } from './from-sources.mjs';

const root = resolve(import.meta.dirname, '..', '..');
const simulation = join(root, 'apps', 'dispatcher', 'simulation');
const args = process.argv.slice(2);

/** In so many seeds a mutation has to be found; most are in a few. */
const SEEDS = 20_000;

/** Runs this script in a process of its own, and gives what it prints. */
const simulate = (...args) =>
  new Promise((done) => {
    const child = spawn(process.execPath, [process.argv[1], ...args], { stdio: ['ignore', 'pipe', 'inherit'] });
    let output = '';
    child.stdout.on('data', (chunk) => (output += chunk));
    child.once('close', (status) => done({ status, output }));
  });

/** Each mutation in a process of its own, changed in memory: the files stay as they are. */
const findMutations = async (mutations) => {
  let missed = 0;
  for (const { name } of mutations) {
    const start = performance.now();
    const { status, output } = await simulate('--mutation', name, '--seeds', String(SEEDS), '--brief');
    const [seed, invariant, what] = output.split('\t');
    const isFound = status === 1 && what !== undefined;
    if (!isFound) missed += 1;
    const seconds = ((performance.now() - start) / 1_000).toFixed(1);
    process.stdout.write(isFound ? `found   ${name}\n        seed ${seed}, ${seconds} s: ${invariant}: ${what.split('\n')[0]}\n` : `MISSED  ${name}\n        ${seconds} s, status ${status} ${output}`);
  }
  process.stdout.write(`${mutations.length - missed} of ${mutations.length} mutations found\n`);
  process.exitCode = missed === 0 ? 0 : 1;
};

let change = (_path, text) => text;
endWithLauncher();
runFromSources((path, text) => change(path, text));
const { applied, mutations } = await import(join(simulation, 'mutations.ts'));

const [command, value] = args;
if (command === '--mutations') {
  await findMutations(mutations.filter(({ name }) => value === undefined || name.includes(value)));
} else {
  if (command === '--mutation') {
    const mutation = mutations.find(({ name }) => name === value);
    const file = join(root, mutation.file);
    change = (path, text) => (path === file ? applied(mutation, text) : text);
    process.argv.splice(2, 2);
  }
  await import(join(simulation, 'main.ts'));
}
