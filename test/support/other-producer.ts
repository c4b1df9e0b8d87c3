import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { posthornDir } from '@posthorn/testkit';

export type OtherProducer = {
  readonly name: string;
  /** Produces one record and resolves when the client says that it is written. */
  produce(record: { brokers: string; topic: string; headers: Readonly<Record<string, string>>; value: string }): Promise<void>;
};

const run = async (command: string, args: readonly string[], input: string): Promise<void> => {
  const child = spawn(command, args, { stdio: ['pipe', 'ignore', 'pipe'] });
  let complaints = '';
  child.stderr.on('data', (chunk: Buffer) => (complaints += chunk.toString()));
  child.stdin.end(input);
  const [status] = (await once(child, 'close')) as [number | null];
  if (status !== 0) throw new Error(`${command} ended with ${status}: ${complaints}`);
};

const kcat: OtherProducer = {
  name: 'kcat',
  produce: ({ brokers, topic, headers, value }) =>
    run('kcat', ['-P', '-b', brokers, '-t', topic, ...Object.entries(headers).flatMap(([name, content]) => ['-H', `${name}=${content}`])], value),
};

const jars = join(posthornDir, 'kafka-4.3.0');

/** Kafka's own client. The program is compiled as it is started: nothing but the JDK and the local broker's archives is needed. */
const java: OtherProducer = {
  name: "Kafka's Java client",
  produce: ({ brokers, topic, headers, value }) =>
    run(
      'java',
      ['-cp', join(jars, '*'), '-Dorg.slf4j.simpleLogger.defaultLogLevel=warn', join(import.meta.dirname, 'Produce.java'), brokers, topic, ...Object.entries(headers).flat()],
      value,
    ),
};

const runs = (command: string, ...args: readonly string[]): string => {
  try {
    return execFileSync(command, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
  } catch {
    return '';
  }
};

/** Clients of Kafka that have nothing to do with ours, as far as this machine has them. */
export const otherProducers = (): readonly OtherProducer[] => [
  ...(runs('kcat', '-V') === '' ? [] : [kcat]),
  ...(existsSync(jars) && runs('java', '--list-modules').includes('jdk.compiler') ? [java] : []),
];
