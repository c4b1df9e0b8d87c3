import { Kafka } from '@posthorn/kafka';
import { ConfigError, createLog, kafkaSettings, readConfig } from '@posthorn/service-kit';
import { auditConfig, type AuditConfig } from '../config.js';
import { groupOf } from '../group.js';
import type { Difference } from '../rebuilding/compare.js';
import { Progress } from '../rebuilding/progress.js';
import { rebuild, verify, type RebuildParts } from '../rebuilding/rebuild.js';
import { HELP, parseCommandLine, type Command } from './command-line.js';

/** Where a command speaks: what came of it, and what it is about. A line each. */
export type Output = { readonly out: (line: string) => void; readonly err: (line: string) => void };

export const EXIT = { done: 0, failed: 1, wrong: 2 } as const;
export type Exit = (typeof EXIT)[keyof typeof EXIT];

const NAME = 'posthorn-audit';
const DIFFERENCES_SHOWN = 20;

/** Runs one command; resolves with the status to exit with. */
export const run = async (args: readonly string[], env: NodeJS.ProcessEnv, output: Output): Promise<Exit> => {
  const line = parseCommandLine(args, Date.now());
  if (line.kind === 'help') {
    output.out(HELP.trimEnd());
    return EXIT.done;
  }
  if (line.kind === 'wrong') {
    output.err(`${NAME}: ${line.message}\n\n${HELP.trimEnd()}`);
    return EXIT.wrong;
  }
  try {
    return await carryOut(line, readConfig(auditConfig, env), output);
  } catch (error) {
    output.err(`${NAME} ${line.kind}: ${error instanceof Error ? error.message : String(error)}`);
    return error instanceof ConfigError ? EXIT.wrong : EXIT.failed;
  }
};

const carryOut = async ({ firstDay, verify: verifyOnly }: Command, config: AuditConfig, output: Output): Promise<Exit> => {
  const log = createLog(NAME, config.LOG_LEVEL, { write: (text) => output.err(text.trimEnd()) });
  const kafka = new Kafka(kafkaSettings(config, NAME), log);
  const progress = new Progress(output.err);
  const parts = { kafka, databaseUrl: config.POSTHORN_DATABASE_URL, groupId: groupOf(config), progress, log };
  try {
    if (verifyOnly) return await carryOutVerify(parts, firstDay, output);
    await rebuild(parts, firstDay);
    output.out(`rebuilt from ${firstDay} on: ${progress.summary()}`);
    return EXIT.done;
  } finally {
    await kafka.close();
  }
};

const carryOutVerify = async (parts: RebuildParts, firstDay: string, output: Output): Promise<Exit> => {
  const { differences, unsettled } = await verify(parts, firstDay);
  const result = differences.length > 0 ? 'not equal' : unsettled > 0 ? `equal, but for ${unsettled} rows that never held still` : 'equal';
  output.out(`compared from ${firstDay} on: ${result}; ${parts.progress.summary()}`);
  for (const difference of differences.slice(0, DIFFERENCES_SHOWN)) output.out(inWords(difference));
  if (differences.length > DIFFERENCES_SHOWN) output.out('… and more');
  return differences.length === 0 ? EXIT.done : EXIT.failed;
};

const inWords = ({ kind, table, day, key }: Difference): string => `${kind} in ${table}${day === undefined ? '' : ` of ${day}`}: ${key}`;
