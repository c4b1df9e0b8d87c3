import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { eventually } from '../eventually.js';
import { StackError, reasonOf } from './errors.js';
import { answersMetadata } from './kafka-probe.js';
import { outwait, startLeashed } from './leash.js';
import type { Server } from './server.js';

const run = promisify(execFile);

export const KAFKA_VERSION = '4.3.0';
const POM = join(import.meta.dirname, '..', '..', 'kafka', 'pom.xml');
const OLDEST_JAVA = 17;
const QUICK_COMPILER = '-XX:TieredStopAtLevel=1';
const GRACE_MS = 15_000;
const START_TIMEOUT_MS = 60_000;
const DOWNLOAD_TIMEOUT_MS = 300_000;

export type LocalKafkaPorts = { readonly kafka: number; readonly controller: number };

/** One node that is broker and controller, and keeps every internal topic in as few partitions as a single node needs. */
export const serverProperties = ({ kafka, controller }: LocalKafkaPorts, data: string): string =>
  Object.entries({
    'process.roles': 'broker,controller',
    'node.id': 1,
    'controller.quorum.voters': `1@127.0.0.1:${controller}`,
    listeners: `PLAINTEXT://127.0.0.1:${kafka},CONTROLLER://127.0.0.1:${controller}`,
    'advertised.listeners': `PLAINTEXT://127.0.0.1:${kafka}`,
    'controller.listener.names': 'CONTROLLER',
    'listener.security.protocol.map': 'PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT',
    'log.dirs': data.replaceAll('\\', '\\\\'),
    'auto.create.topics.enable': false,
    'group.initial.rebalance.delay.ms': 0,
    'offsets.topic.num.partitions': 4,
    'offsets.topic.replication.factor': 1,
    'transaction.state.log.num.partitions': 2,
    'transaction.state.log.replication.factor': 1,
    'transaction.state.log.min.isr': 1,
    'share.coordinator.state.topic.num.partitions': 2,
    'share.coordinator.state.topic.replication.factor': 1,
    'share.coordinator.state.topic.min.isr': 1,
    // By default the controller appends a record that says nothing twice a second, for those who watch whether it can; a third of what a broker at rest takes.
    'metadata.max.idle.interval.ms': 0,
    // The defaults, 3 and 8, are for more cores: every request would wake up one more thread.
    'num.network.threads': 1,
    'num.io.threads': 2,
    // The default, 128 MiB, is a quarter of the heap that it gets here.
    'log.cleaner.dedupe.buffer.size': 16 * 1024 * 1024,
  })
    .map(([name, value]) => `${name}=${value}\n`)
    .join('');

/** `17` of `openjdk version "17.0.15"`, `8` of `java version "1.8.0_392"`. */
export const javaMajor = (versionText: string): number | undefined => {
  const [, first, second] = /version "(\d+)(?:\.(\d+))?/.exec(versionText) ?? [];
  return first === undefined ? undefined : Number(first === '1' ? second : first);
};

const findJava = async (): Promise<string> => {
  const home = process.env['JAVA_HOME'];
  const candidates = [...(home ? [join(home, 'bin', 'java')] : []), 'java'];
  const found: string[] = [];
  for (const java of candidates) {
    try {
      const major = javaMajor((await run(java, ['-version'])).stderr);
      if (major !== undefined && major >= OLDEST_JAVA) return java;
      found.push(`${java} is version ${major ?? 'unknown'}`);
    } catch {
      found.push(`${java} does not run`);
    }
  }
  throw new StackError('unavailable', `Java ${OLDEST_JAVA} or newer is needed (${found.join(', ')})`);
};

/** Fetched aside and renamed: the folder is whole or not there, also when two processes fetch at once. */
const fetchJars = async (jars: string): Promise<void> => {
  const draft = `${jars}.${process.pid}`;
  try {
    await run('mvn', ['-q', '-B', '-f', POM, 'dependency:copy-dependencies', `-DoutputDirectory=${draft}`], { timeout: DOWNLOAD_TIMEOUT_MS });
    if (!existsSync(jars)) renameSync(draft, jars);
  } catch (cause) {
    const { code, stdout = '', stderr = '' } = cause as { code?: unknown; stdout?: string; stderr?: string };
    if (code === 'ENOENT') throw new StackError('unavailable', `Maven is needed once, to fetch Kafka ${KAFKA_VERSION} (mvn is not installed)`, { cause });
    const said = `${stdout}\n${stderr}`.split('\n').find((line) => line.includes('ERROR'));
    throw new StackError('unavailable', `Maven could not fetch Kafka ${KAFKA_VERSION}: ${said ?? reasonOf(cause)}`, { cause });
  } finally {
    rmSync(draft, { recursive: true, force: true });
  }
};

const format = async (java: string, classpath: string, properties: string, data: string, done: string): Promise<void> => {
  rmSync(data, { recursive: true, force: true });
  const clusterId = randomBytes(16).toString('base64url').replace(/^-/, 'A');
  const quick = [QUICK_COMPILER, '-XX:+UseSerialGC', '-Dorg.slf4j.simpleLogger.defaultLogLevel=warn'];
  try {
    await run(java, [...quick, '-cp', classpath, 'kafka.tools.StorageTool', 'format', '-t', clusterId, '-c', properties]);
  } catch (cause) {
    throw new StackError('failed', `Kafka could not format ${data}: ${reasonOf(cause)}`, { cause });
  }
  writeFileSync(done, `${KAFKA_VERSION}\n`);
};

export type LocalKafkaOptions = {
  /** Holds data, configuration, log and pid. */
  readonly dir: string;
  /** Holds what is fetched once for all instances. */
  readonly downloads: string;
  readonly ports: LocalKafkaPorts;
  /** Begin with an empty broker: what was there is removed. */
  readonly fresh: boolean;
  /** Told before the one step that can take long. */
  readonly onFetch?: () => void;
};

/** Kafka from Maven Central's archives, one node, on loopback ports. */
export const startLocalKafka = async ({ dir, downloads, ports, fresh, onFetch }: LocalKafkaOptions): Promise<Server<{ brokers: string }>> => {
  if (process.platform === 'win32') throw new StackError('unavailable', 'the local Kafka is not made for Windows; use WSL or Docker');
  const java = await findJava();
  const jars = join(downloads, `kafka-${KAFKA_VERSION}`);
  mkdirSync(dir, { recursive: true });
  if (!existsSync(jars)) {
    onFetch?.();
    await fetchJars(jars);
  }
  const data = join(dir, 'data');
  const properties = join(dir, 'server.properties');
  const formatted = join(dir, 'formatted');
  const pidFile = join(dir, 'pid');
  const logFile = join(dir, 'log');
  const classpath = join(jars, '*');

  await outwait(pidFile, properties, GRACE_MS);
  const text = serverProperties(ports, data);
  if (!existsSync(properties) || readFileSync(properties, 'utf8') !== text) writeFileSync(properties, text);
  if (fresh || !existsSync(formatted) || !existsSync(data)) await format(java, classpath, properties, data, formatted);

  const server = startLeashed({
    command: [
      java,
      '-Xmx512m',
      // The optimizing compiler takes as much CPU as the broker in its first minutes, which is how long most of ours live, and 150 MB (decision 032).
      QUICK_COMPILER,
      // A second thread for collecting would take from the services what a small heap does not need.
      '-XX:+UseSerialGC',
      '-Dorg.slf4j.simpleLogger.defaultLogLevel=warn',
      '-Dorg.slf4j.simpleLogger.showDateTime=true',
      '-Dorg.slf4j.simpleLogger.dateTimeFormat=HH:mm:ss.SSS',
      '-cp',
      classpath,
      'kafka.Kafka',
      properties,
    ],
    logFile,
    pidFile,
    signal: 'TERM',
    graceMs: GRACE_MS,
  });
  let running = true;
  const ended = server.ended.then(() => {
    running = false;
    return new StackError('failed', `Kafka ended: ${server.lastWords()} (log: ${logFile})`);
  });
  try {
    await eventually(async () => !running || (await answersMetadata('127.0.0.1', ports.kafka)), {
      timeoutMs: START_TIMEOUT_MS,
      everyMs: 50,
      describe: 'Kafka to answer',
    });
    if (!running) throw await ended;
  } catch (error) {
    await server.stop();
    if (error instanceof StackError) throw error;
    throw new StackError('failed', `Kafka did not start: ${server.lastWords()} (log: ${logFile})`, { cause: error });
  }
  return { kind: 'local', brokers: `127.0.0.1:${ports.kafka}`, ended, stop: server.stop };
};
