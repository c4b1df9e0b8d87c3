import { EventStore, RelayCheckpoint } from '@posthorn/event-store';
import { Kafka } from '@posthorn/kafka';
import { ConfigError, createLog, kafkaSettings, readConfig } from '@posthorn/service-kit';
import { Pool } from 'pg';
import { Aggregates } from '../aggregates.js';
import { registryConfig, type RegistryConfig } from '../config.js';
import { RememberedAnswers } from '../idempotency/remembered-answers.js';
import { SCHEMA } from '../migrations/migrations.js';
import { readModels } from '../read-models.js';
import { RELAY } from '../streams.js';
import { HELP, parseCommandLine, type Command } from './command-line.js';
import { grouped, Progress } from './progress.js';
import { rebuild, verify } from './rebuild.js';
import { reencrypt } from './reencrypt.js';
import { untilRelayed } from './relayed.js';
import { republish } from './republish.js';

/** Where a command speaks: what came of it, and what it is about. A line each. */
export type Output = { readonly out: (line: string) => void; readonly err: (line: string) => void };

export const EXIT = { done: 0, failed: 1, wrong: 2 } as const;
export type Exit = (typeof EXIT)[keyof typeof EXIT];

const NAME = 'posthorn-registry';
const DIFFERENCES_SHOWN = 20;
const CONNECT_TIMEOUT_MS = 5_000;

/** Runs one command; resolves with the status to exit with. */
export const run = async (args: readonly string[], env: NodeJS.ProcessEnv, output: Output): Promise<Exit> => {
  const line = parseCommandLine(args);
  if (line.kind === 'help') {
    output.out(HELP.trimEnd());
    return EXIT.done;
  }
  if (line.kind === 'wrong') {
    output.err(`${NAME}: ${line.message}\n\n${HELP.trimEnd()}`);
    return EXIT.wrong;
  }
  try {
    return await carryOut(line, readConfig(registryConfig, env), output);
  } catch (error) {
    output.err(`${NAME} ${line.kind}: ${error instanceof Error ? error.message : String(error)}`);
    return error instanceof ConfigError ? EXIT.wrong : EXIT.failed;
  }
};

/** What every command works with. */
type Workplace = {
  readonly config: RegistryConfig;
  readonly output: Output;
  readonly pool: Pool;
  readonly store: EventStore;
  readonly checkpoint: RelayCheckpoint;
  readonly log: ReturnType<typeof createLog>;
};

const carryOut = async (command: Command, config: RegistryConfig, output: Output): Promise<Exit> => {
  const log = createLog(NAME, config.LOG_LEVEL, { write: (text) => output.err(text.trimEnd()) });
  const pool = new Pool({
    connectionString: config.POSTHORN_DATABASE_URL,
    application_name: `${NAME} ${command.kind}`,
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
  });
  pool.on('error', (err) => log.warn({ err }, 'an idle connection to the database was lost'));
  const store = new EventStore(pool, SCHEMA);
  const workplace = { config, output, pool, store, checkpoint: new RelayCheckpoint(pool, SCHEMA, RELAY), log };
  try {
    switch (command.kind) {
      case 'rebuild':
        return await runRebuild(workplace, command.verify);
      case 'republish':
        return await runRepublish(workplace, command.wait);
      case 'reencrypt':
        return await runReencrypt(workplace, command.wait);
    }
  } finally {
    await pool.end();
  }
};

const runRebuild = async ({ output, pool, store }: Workplace, verifyOnly: boolean): Promise<Exit> => {
  const progress = new Progress('events', output.err);
  const parts = { pool, store, readModels, progress };
  if (!verifyOnly) {
    await rebuild(parts);
    output.out(`rebuilt ${readModels.map(({ table }) => table).join(', ')}: ${progress.summary()}`);
    return EXIT.done;
  }
  const differences = await verify(parts, DIFFERENCES_SHOWN + 1);
  output.out(`compared ${readModels.map(({ table }) => table).join(', ')}: ${progress.summary()}`);
  for (const { table, id, kind } of differences.slice(0, DIFFERENCES_SHOWN)) output.out(`${kind} in ${table}: ${id}`);
  if (differences.length > DIFFERENCES_SHOWN) output.out('… and more');
  return differences.length === 0 ? EXIT.done : EXIT.failed;
};

const runRepublish = async (workplace: Workplace, wait: boolean): Promise<Exit> => {
  const { config, log, output, store, checkpoint } = workplace;
  const kafka = new Kafka(kafkaSettings(config, NAME), log);
  try {
    const last = await republish({ kafka, store, checkpoint });
    output.out(`registry.log and registry.state are written again, up to position ${last}`);
    if (wait) await tellRelaying(workplace, last);
    return EXIT.done;
  } finally {
    await kafka.close();
  }
};

const runReencrypt = async (workplace: Workplace, wait: boolean): Promise<Exit> => {
  const { config, log, output, pool, store } = workplace;
  const secrets = config.POSTHORN_ENCRYPTION_KEYS;
  const aggregates = new Aggregates({
    store,
    // Waited for once, at the end.
    relay: { waitUntilRelayed: () => Promise.resolve(true) },
    answers: new RememberedAnswers(pool, secrets, log),
    log,
  });
  const progress = new Progress('secrets’ owners', output.err);
  const { changed, failures } = await reencrypt({ pool, aggregates, secrets, progress });
  output.out(`encrypted anew: ${grouped(changed)}; looked at ${progress.summary()}`);
  for (const failure of failures.slice(0, DIFFERENCES_SHOWN)) output.err(failure);
  if (failures.length > DIFFERENCES_SHOWN) output.err(`… and ${grouped(failures.length - DIFFERENCES_SHOWN)} more`);
  if (wait) await tellRelaying(workplace, await store.lastPosition());
  return failures.length === 0 ? EXIT.done : EXIT.failed;
};

const tellRelaying = async ({ output, checkpoint }: Workplace, last: number): Promise<void> => {
  const progress = new Progress('positions', output.err);
  const isRelayed = await untilRelayed(checkpoint, last, (position) => progress.add(position - progress.count));
  if (isRelayed) output.out(`published up to position ${last}`);
  else output.out('no registry is running: the rest is published when one starts');
};
