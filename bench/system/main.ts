/**
 * The whole system beside its limit: throughput, latency, cost, isolation, recovery, start, with Kafka, PostgreSQL, receiver and load on the same machine.
 * `npm run bench [-- --quick, --only a,b, --profile, --save]`; see bench/README.md.
 */
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { posthornDir, repositoryRoot } from '@posthorn/testkit';
import { say } from '../support/measure.ts';
import { judge, LOW_RATE, NAMES } from './aims.ts';
import { Bench } from './bench.ts';
import { INSPECTABLE } from './inspector.ts';
import { describeMachine } from './machine.ts';
import { parseOptions, sizesOf, type Options, type Part, type Sizes } from './options.ts';
import { measureBare } from './parts/bare.ts';
import { measureColdStart } from './parts/cold-start.ts';
import { measureIdle } from './parts/idle.ts';
import { measureIsolation } from './parts/isolation.ts';
import { measureLatency, type Beside, type Latency, type LatencyWish } from './parts/latency.ts';
import { measureProfiles, type ServiceProfile } from './parts/profiles.ts';
import { measureRecovery } from './parts/recovery.ts';
import { measureThroughput, type Throughput } from './parts/throughput.ts';
import { inMarkdown, inText, sectionsOf } from './report.ts';
import type { Results } from './results.ts';

const DIR = join(posthornDir, 'bench', 'system');
/** Of the last run; kept beside the data, which every run begins without. */
const RESULTS = join(posthornDir, 'bench', 'results');
/** As fast as the bench itself goes later; a young process is several times slower. */
const WARM_UP = { perSecond: 1_000, restPerSecond: 300 };
const SLOW: Beside = { subscriber: { type: 'bench.slow', manner: { kind: 'slow', delayMs: 10_000 } }, perSecond: 50 };
const ISOLATION = { subscribers: 1_000, perSecond: 500, hangingPerSecond: 50 };
/** 128 and the number of the signal, as shells have it. */
const STATUS_OF_SIGNAL = { SIGINT: 130, SIGTERM: 143, SIGHUP: 129 } as const;

type Found = { -readonly [Name in keyof Results]?: Results[Name] };

const warmUp = async (bench: Bench, seconds: number): Promise<void> => {
  const wish = { name: 'warm-up', seconds } as const;
  await measureLatency(bench, { ...wish, door: 'kafka', perSecond: WARM_UP.perSecond });
  await measureLatency(bench, { ...wish, door: 'rest', perSecond: WARM_UP.restPerSecond, seconds: seconds / 2 });
};

const measureLatencies = async (bench: Bench, wishes: readonly Omit<LatencyWish, 'seconds'>[], { latencySeconds }: Sizes): Promise<readonly Latency[]> => {
  const all: Latency[] = [];
  for (const wish of wishes) all.push(await measureLatency(bench, { ...wish, seconds: latencySeconds }));
  return all;
};

const atLowRate: readonly Omit<LatencyWish, 'seconds'>[] = [
  { name: NAMES.kafka, door: 'kafka', perSecond: LOW_RATE },
  { name: NAMES.kafkaBesideSlow, door: 'kafka', perSecond: LOW_RATE, beside: SLOW },
  { name: NAMES.rest, door: 'rest', perSecond: LOW_RATE },
  { name: NAMES.restBesideSlow, door: 'rest', perSecond: LOW_RATE, beside: SLOW },
];

const atHalf = (throughput: readonly Throughput[]): readonly Omit<LatencyWish, 'seconds'>[] => {
  const one = throughput.find(({ fanOut }) => fanOut === 1);
  if (one === undefined) return [];
  const perSecond = Math.round((one.sustainedPerSecond ?? one.drain.perSecond) / 2);
  return (['kafka', 'rest'] as const).map((door) => ({ name: `${door === 'kafka' ? 'Kafka door' : 'REST'}, half of what is sustained: ${perSecond}/s`, door, perSecond }));
};

const measureThroughputs = async (bench: Bench, { throughput }: Sizes): Promise<readonly Throughput[]> => {
  const all: Throughput[] = [];
  for (const { trials, precision, ...wish } of throughput) all.push(await measureThroughput(bench, { ...wish, search: { trials, precision } }));
  return all;
};

/** Well below what is sustained: so much of a backlog's rate. */
const PROFILED_SHARE = 0.6;
const PROFILED_BACKLOG = 20_000;

const measureAllProfiles = async (bench: Bench, seconds: number): Promise<readonly ServiceProfile[]> => {
  const all: ServiceProfile[] = [];
  for (const fanOut of [1, 10]) {
    const { drain } = await measureThroughput(bench, { fanOut, backlog: PROFILED_BACKLOG, seconds, search: { trials: 0, precision: 1 } });
    all.push(...(await measureProfiles(bench, { fanOut, perSecond: drain.perSecond * PROFILED_SHARE, seconds, folder: RESULTS })));
  }
  return all;
};

const measure = async (bench: Bench, { parts, isProfiled }: Options, sizes: Sizes, found: Found): Promise<void> => {
  const asked = async (part: Part, words: string, work: () => Promise<void>): Promise<void> => {
    if (!parts.includes(part)) return;
    say(`· ${words}`);
    await work();
  };
  say('· warming up');
  await warmUp(bench, sizes.warmUpSeconds);
  await asked('idle', 'idle', async () => void (found.idle = await measureIdle(bench, sizes.idleSeconds)));
  await asked('latency', `latency at ${LOW_RATE}/s`, async () => void (found.latency = await measureLatencies(bench, atLowRate, sizes)));
  await asked('throughput', 'throughput', async () => {
    found.throughput = await measureThroughputs(bench, sizes);
    if (sizes.isLatencyAtHalf && parts.includes('latency')) found.latency = [...(found.latency ?? []), ...(await measureLatencies(bench, atHalf(found.throughput), sizes))];
  });
  await asked('isolation', 'isolation', async () => void (found.isolation = await measureIsolation(bench, { ...ISOLATION, seconds: sizes.isolationSeconds })));
  await asked('recovery', 'recovery', async () => void (found.recovery = await measureRecovery(bench, sizes.recoveryEvents)));
  await asked('bare', 'bare loops', async () => void (found.bare = await measureBare(bench, sizes.bareCount, sizes.bareAloneSeconds)));
  if (isProfiled) {
    say('· profiles');
    found.profiles = await measureAllProfiles(bench, sizes.profileSeconds);
  }
  await asked('cold-start', 'cold start', async () => void (found.coldStart = await measureColdStart(bench, sizes.coldStartSubscriptions)));
};

const keep = (results: Results, folder: string): void => {
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'results.json'), `${JSON.stringify(results)}\n`);
  writeFileSync(join(folder, 'README.md'), inMarkdown(results));
  for (const { file, svg } of sectionsOf(results).flatMap(({ plots }) => plots)) writeFileSync(join(folder, file), svg);
};

const run = async (options: Options): Promise<number> => {
  const at = new Date().toISOString();
  for (const old of [DIR, RESULTS]) rmSync(old, { recursive: true, force: true });
  const bench = await Bench.start(DIR, options.isProfiled ? INSPECTABLE : {});
  const interrupted = new Promise<number>((resolve) => {
    for (const [signal, status] of Object.entries(STATUS_OF_SIGNAL)) process.once(signal, () => resolve(status));
  });
  const found: Found = {};
  try {
    const machine = await describeMachine(bench);
    const status = await Promise.race([measure(bench, options, sizesOf(options), found), interrupted]);
    if (typeof status === 'number') return status;
    const results: Results = { at, isQuick: options.isQuick, machine, ...found, samples: bench.sampler.samples, bands: bench.sampler.bands };
    say(`\n${inText(results)}`);
    const folder = options.isSaved ? join(repositoryRoot, 'docs', 'benchmarks', `${at.slice(0, 10)}-${machine.commit}`) : RESULTS;
    keep(results, folder);
    const missed = judge(results).filter(({ isMet }) => !isMet).length;
    say(`\n${missed === 0 ? 'All aims are met.' : `${missed} aims are missed.`} Table, figures and plots are in ${folder.slice(repositoryRoot.length + 1)}.`);
    return 0;
  } finally {
    await bench.stop();
  }
};

const options = parseOptions(process.argv.slice(2));
if (typeof options === 'string') {
  process.stderr.write(`${options}\n`);
  process.exit(1);
}
process.exit(await run(options));
