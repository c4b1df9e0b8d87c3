import { join, resolve } from 'node:path';
import { Client } from 'pg';
import { startKafkaContainer, startPostgresContainer, whyNoContainers } from './containers.js';
import { StackError, reasonOf } from './errors.js';
import { accepts } from './kafka-probe.js';
import { startLocalKafka } from './local-kafka.js';
import { startLocalPostgres } from './local-postgres.js';
import { takeLock } from './lock.js';
import { portsFor } from './ports.js';
import { never, type Server, type ServerKind } from './server.js';

/** The checkout: this file is libs/testkit/{src,dist}/stack/stack.*. */
export const repositoryRoot = resolve(import.meta.dirname, '..', '..', '..', '..');

/** What is kept between runs: data of the local pair, what was fetched for it, logs, generated keys. */
export const posthornDir = join(repositoryRoot, '.posthorn');

export type StackPart = 'PostgreSQL' | 'Kafka';
export type StackProgress = { readonly part: StackPart; readonly state: 'starting' | 'fetching' | 'ready'; readonly kind: ServerKind };

export type StackOptions = {
  /** The instance: its data, ports, logs and lock. */
  readonly dir: string;
  /** Where Kafka's archives are kept; shared by all instances. */
  readonly downloads?: string;
  /** Start from nothing and spare the disk; else the data of the last time is there again. */
  readonly fresh?: boolean;
  readonly env?: Readonly<Record<string, string | undefined>>;
  readonly onProgress?: (progress: StackProgress) => void;
};

export type Stack = {
  readonly brokers: string;
  readonly databaseUrl: string;
  readonly kind: { readonly kafka: ServerKind; readonly postgres: ServerKind };
  /** Resolves with the reason when one of the two ends without having been asked. */
  readonly ended: Promise<StackError>;
  /** Ends what was started here, and nothing else. */
  stop(): Promise<void>;
};

/** One way of having a server; refuses with StackError 'unavailable' when it cannot be had that way. */
type Way<Address> = { readonly kind: ServerKind; readonly start: () => Promise<Server<Address>> };

const firstThatWorks = async <Address>(part: StackPart, ways: readonly Way<Address>[], advice: string, options: StackOptions): Promise<Server<Address>> => {
  const tried: string[] = [];
  for (const { kind, start } of ways) {
    try {
      options.onProgress?.({ part, state: 'starting', kind });
      const server = await start();
      options.onProgress?.({ part, state: 'ready', kind });
      return server;
    } catch (error) {
      if (!(error instanceof StackError) || error.code !== 'unavailable') throw error;
      tried.push(error.message);
    }
  }
  throw new StackError('unavailable', `No ${part} to be had. Tried: ${tried.join('; ')}. ${advice}`);
};

const givenKafka = async (brokers: string): Promise<Server<{ brokers: string }>> => {
  const addresses = brokers.split(',').map((broker) => broker.trim());
  const reachable = await Promise.all(addresses.map((address) => {
    const colon = address.lastIndexOf(':');
    return accepts(address.slice(0, colon), Number(address.slice(colon + 1)));
  }));
  if (!reachable.includes(true)) throw new StackError('failed', `POSTHORN_KAFKA_BROKERS is set, but nothing listens at ${brokers}`);
  return { kind: 'environment', brokers, ended: never, stop: async () => {} };
};

const givenPostgres = async (databaseUrl: string): Promise<Server<{ databaseUrl: string }>> => {
  const client = new Client({ connectionString: databaseUrl, connectionTimeoutMillis: 5_000 });
  try {
    await client.connect();
  } catch (cause) {
    throw new StackError('failed', `POSTHORN_DATABASE_URL is set, but there is no connecting to it: ${reasonOf(cause)}`, { cause });
  } finally {
    await client.end().catch(() => {});
  }
  return { kind: 'environment', databaseUrl, ended: never, stop: async () => {} };
};

const container = async <Address>(start: () => Promise<Server<Address>>, why: Promise<string | undefined>): Promise<Server<Address>> => {
  const reason = await why;
  if (reason !== undefined) throw new StackError('unavailable', reason);
  return start();
};

/**
 * Kafka and PostgreSQL, each by itself: the one named by the environment, else a container, else a process of our own under a
 * leash, so that none outlives us.
 * @throws {StackError} 'busy' when another process has this instance up, 'unavailable', 'failed'
 */
export const startStack = async (options: StackOptions): Promise<Stack> => {
  const { dir, downloads = posthornDir, fresh = false, env = process.env, onProgress } = options;
  const lock = takeLock(join(dir, 'lock'));
  if ('heldBy' in lock) {
    throw new StackError('busy', `the stack in ${dir} is in use by process ${lock.heldBy.pid}; end that one first`);
  }
  try {
    const brokers = env['POSTHORN_KAFKA_BROKERS'];
    const databaseUrl = env['POSTHORN_DATABASE_URL'];
    const noContainers = brokers && databaseUrl ? Promise.resolve(undefined) : whyNoContainers();
    const ports = await portsFor(join(dir, 'ports.json'), ['postgres', 'kafka', 'controller']);
    const localDir = (part: string): string => join(dir, part);

    const postgres = firstThatWorks<{ databaseUrl: string }>(
      'PostgreSQL',
      databaseUrl
        ? [{ kind: 'environment', start: () => givenPostgres(databaseUrl) }]
        : [
            { kind: 'container', start: () => container(startPostgresContainer, noContainers) },
            { kind: 'local', start: () => startLocalPostgres({ dir: localDir('postgres'), port: ports.postgres, fresh }) },
          ],
      'Set POSTHORN_DATABASE_URL, or start Docker, or run as an ordinary user on Linux or macOS after `npm ci`.',
      options,
    );
    const kafka = firstThatWorks<{ brokers: string }>(
      'Kafka',
      brokers
        ? [{ kind: 'environment', start: () => givenKafka(brokers) }]
        : [
            { kind: 'container', start: () => container(startKafkaContainer, noContainers) },
            {
              kind: 'local',
              start: () =>
                startLocalKafka({
                  dir: localDir('kafka'),
                  downloads,
                  ports,
                  fresh,
                  onFetch: () => onProgress?.({ part: 'Kafka', state: 'fetching', kind: 'local' }),
                }),
            },
          ],
      'Set POSTHORN_KAFKA_BROKERS, or start Docker, or install Java 17 (or newer) and Maven.',
      options,
    );
    return await both(kafka, postgres, lock.release);
  } catch (error) {
    lock.release();
    throw error;
  }
};

/** All or nothing: when one does not come up, the other is taken down before the error is passed on. */
const both = async (
  startingKafka: Promise<Server<{ brokers: string }>>,
  startingPostgres: Promise<Server<{ databaseUrl: string }>>,
  release: () => void,
): Promise<Stack> => {
  const [kafka, postgres] = await Promise.allSettled([startingKafka, startingPostgres]);
  if (kafka.status === 'rejected' || postgres.status === 'rejected') {
    const started = [kafka, postgres].flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []));
    await Promise.all(started.map((server) => server.stop()));
    const errors = [kafka, postgres].flatMap((result) => (result.status === 'rejected' ? [result.reason as unknown] : []));
    const [error] = errors;
    if (errors.length === 1) throw error;
    throw new StackError(error instanceof StackError ? error.code : 'failed', errors.map(reasonOf).join('\n'), { cause: error });
  }
  let stopping: Promise<void> | undefined;
  return {
    brokers: kafka.value.brokers,
    databaseUrl: postgres.value.databaseUrl,
    kind: { kafka: kafka.value.kind, postgres: postgres.value.kind },
    ended: Promise.race([kafka.value.ended, postgres.value.ended]),
    stop: () => {
      stopping ??= Promise.all([kafka.value.stop(), postgres.value.stop()]).then(release);
      return stopping;
    },
  };
};
