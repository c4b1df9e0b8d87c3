import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { build, compile } from './build.mjs';
import { generate } from './generate.mjs';
import { endWithLauncher } from './parent.mjs';
import { step } from './progress.mjs';
import { inWords, ofCheck, ofJest, sum } from './tally.mjs';

const root = resolve(import.meta.dirname, '..', '..');
const STAGES = ['lint', 'types', 'unit', 'integration', 'e2e'];
const ON_THE_STACK = new Set(['integration', 'e2e']);

/**
 * Jest keeps something of every file that it has run, and a gigabyte of that makes the later ones slow: it gets a part at a time. One broker and two
 * cores for all: journeys that share them one after the other measure what they mean to. Of the others as many parts run at once as there are cores.
 */
const PARTS = {
  unit: { count: 3 * availableParallelism(), atOnce: availableParallelism() },
  integration: { count: 8, atOnce: 1 },
  e2e: { count: 4, atOnce: 1 },
};
/** Whoever names tests wants to see them together. */
const WHOLE = { count: 1, atOnce: 1 };

const say = (text) => process.stderr.write(`${text}\n`);

const children = new Set();
let interrupted;
let stack;

/** Runs a program on our terminal; `ended` resolves with its status. */
const run = (command, args) => {
  const child = spawn(command, args, { stdio: 'inherit', cwd: root });
  children.add(child);
  const ended = new Promise((done) => {
    child.once('error', (error) => {
      say(String(error));
      done(127);
    });
    child.once('exit', (status) => done(status ?? 1));
  });
  return { child, ended: ended.finally(() => children.delete(child)) };
};

const lint = async () => ofCheck((await run(process.execPath, [join(root, 'node_modules/oxlint/bin/oxlint'), '--deny-warnings']).ended) === 0);

const types = async () => {
  const { status, output } = await compile(root, []);
  if (status !== 0) say(output.trim());
  return ofCheck(status === 0);
};

/** A test that leaves something running keeps jest up for good after its report is written; it gets this long to leave. */
const LEAVE_MS = 10_000;

const endWhenReported = (child, file) => {
  let reportedMs;
  let lingered = false;
  const timer = setInterval(() => {
    if (existsSync(file)) reportedMs ??= performance.now();
    if (reportedMs === undefined || performance.now() - reportedMs < LEAVE_MS) return;
    lingered = true;
    child.kill('SIGKILL');
  }, 500);
  return () => {
    clearInterval(timer);
    return lingered;
  };
};

const jestPart = async (project, args) => {
  const folder = mkdtempSync(join(tmpdir(), 'posthorn-jest-'));
  const file = join(folder, 'report.json');
  const { child, ended } = run(process.execPath, [
    // Jest loads our ES modules through an API that Node still calls experimental.
    '--experimental-vm-modules',
    '--disable-warning=ExperimentalWarning',
    join(root, 'node_modules/jest/bin/jest.js'),
    '--selectProjects',
    project,
    '--json',
    `--outputFile=${file}`,
    '--passWithNoTests',
    '--runInBand',
    ...args,
  ]);
  const watch = endWhenReported(child, file);
  try {
    const status = await ended;
    const tally = ofJest(JSON.parse(readFileSync(file, 'utf8')));
    if (watch()) {
      say(`the ${project} tests left something running that kept jest from ending (jest --detectOpenHandles finds it)`);
      return { ...tally, failed: tally.failed + 1 };
    }
    // Coverage limits, a failing teardown: jest is not content although no test failed.
    return status !== 0 && tally.failed === 0 ? { ...tally, failed: 1 } : tally;
  } catch {
    return ofJest(undefined);
  } finally {
    watch();
    rmSync(folder, { recursive: true, force: true });
  }
};

const jest = async (project, args) => {
  const { count, atOnce } = args.length > 0 ? WHOLE : PARTS[project];
  const shards = Array.from({ length: count }, (_, n) => `--shard=${n + 1}/${count}`);
  const next = () => (interrupted === undefined ? shards.shift() : undefined);
  const lane = async () => {
    const tallies = [];
    for (let shard = next(); shard !== undefined; shard = next()) tallies.push(await jestPart(project, [shard, ...args]));
    return sum(tallies);
  };
  return sum(await Promise.all(Array.from({ length: atOnce }, lane)));
};

/** Brings Kafka and PostgreSQL up once for all stages that need them, and names them to the tests. */
const needStack = async () => {
  if (stack !== undefined) return;
  await build(root);
  const { startStack } = await import('../../libs/testkit/dist/index.js');
  stack = await step('Starting Kafka and PostgreSQL', () => startStack({ dir: join(root, '.posthorn', 'test'), fresh: true }));
  process.env.POSTHORN_KAFKA_BROKERS = stack.brokers;
  process.env.POSTHORN_DATABASE_URL = stack.databaseUrl;
};

const runStage = async (stage, jestArgs) => {
  if (stage === 'lint') return lint();
  if (stage === 'types') return types();
  if (ON_THE_STACK.has(stage)) await needStack();
  return jest(stage, jestArgs);
};

const parse = (args) => {
  const jestArgs = [];
  let stages = STAGES;
  for (let i = 0; i < args.length; i += 1) {
    const [, inline] = /^--only(?:=(.*))?$/.exec(args[i]) ?? [];
    if (!args[i].startsWith('--only')) jestArgs.push(args[i]);
    else stages = (inline ?? args[(i += 1)] ?? '').split(',');
  }
  const unknown = stages.filter((stage) => !STAGES.includes(stage));
  if (unknown.length > 0) throw new Error(`no such stage: ${unknown.join(', ')}; there are ${STAGES.join(', ')}`);
  return { stages: STAGES.filter((stage) => stages.includes(stage)), jestArgs };
};

const interrupt = (signal, status) =>
  process.on(signal, () => {
    interrupted = status;
    for (const child of children) child.kill(signal);
  });

const main = async () => {
  endWithLauncher();
  interrupt('SIGINT', 130);
  interrupt('SIGTERM', 143);
  const { stages, jestArgs } = parse(process.argv.slice(2));
  const results = [];
  // Lint, types and unit tests come before any build.
  await generate(root);
  try {
    for (const stage of stages) {
      if (interrupted !== undefined) break;
      say(`\n── ${stage}`);
      const start = performance.now();
      let tally;
      try {
        tally = await runStage(stage, jestArgs);
      } catch (error) {
        say(error.message);
        tally = ofCheck(false);
      }
      results.push({ stage, tally, seconds: (performance.now() - start) / 1_000 });
    }
  } finally {
    await stack?.stop();
  }
  if (interrupted !== undefined) {
    process.exitCode = interrupted;
    return;
  }
  say('');
  for (const { stage, tally, seconds } of results) {
    say(`  ${tally.failed === 0 ? '✓' : '✗'} ${stage.padEnd(12)} ${seconds.toFixed(1).padStart(6)} s   ${inWords(tally)}`);
  }
  const all = sum(results.map(({ tally }) => tally));
  process.stdout.write(`${inWords(all)}\n`);
  process.exitCode = all.failed === 0 && all.passed > 0 ? 0 : 1;
};

await main().catch((error) => {
  say(error.message);
  process.exitCode = 1;
});
