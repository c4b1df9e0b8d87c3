import { migrateWhenPossible } from '@posthorn/event-store';
import type { Kit } from '@posthorn/service-kit';
import { KafkaAcceptedLog } from './accepted-log.js';
import { PgClaims } from './claims.js';
import { Deduplicator, LAPSE_MS } from './deduplicator.js';
import { migrations, SCHEMA } from './migrations.js';
import { settleOrphans } from './orphans.js';

export type DeduplicationOptions = {
  readonly databaseUrl: string;
  readonly windowMs: number;
  readonly observeClaim: (seconds: number) => void;
};

const SETTLE_EVERY_MS = 1_000;

/**
 * One deduplicator for each door, each with an owner, a connection and a producer of its own: what is caught up on from Kafka must not stand
 * in the way of a client who waits for an answer. Waits for the database.
 */
export const openDeduplication = async <Door extends string>(
  doors: readonly Door[],
  { databaseUrl: url, windowMs, observeClaim }: DeduplicationOptions,
  kit: Kit,
): Promise<Readonly<Record<Door, Deduplicator>>> => {
  const { kafka, log: logger, health, onShutdown } = kit;
  await migrateWhenPossible({ url, schema: SCHEMA, migrations }, kit);
  const topic = kafka.topic('events.accepted');
  const log = new KafkaAcceptedLog(kafka, topic);
  const claimsOf = () => new PgClaims({ url, windowMs, lapseMs: LAPSE_MS });

  const settling = claimsOf();
  let isClosed = false;
  let timer: NodeJS.Timeout | undefined;
  const settle = async (): Promise<void> => {
    // Whatever is away is tried again, and told by those who need it more.
    await settleOrphans({ claims: settling, log, logger }).catch((err: unknown) => logger.debug({ err }, 'could not settle claims of others'));
    if (!isClosed) timer = setTimeout(() => void settle(), SETTLE_EVERY_MS);
  };
  onShutdown('orphans', async () => {
    isClosed = true;
    clearTimeout(timer);
    await settling.close();
  });

  const opened = new Map<string, Deduplicator>();
  onShutdown('deduplication', async () => {
    await Promise.all([...opened.values()].map((deduplicator) => deduplicator.close()));
  });
  health.addReadiness('database', () => [...opened.values()].map(({ trouble }) => trouble).find((trouble) => trouble !== undefined));
  const open = async (door: Door) => {
    const deduplicator = await Deduplicator.open({
      claims: claimsOf(),
      log,
      topic,
      openProducer: (guard) => kafka.producer({ guard }),
      logger,
      onStatement: observeClaim,
    });
    opened.set(door, deduplicator);
    return [door, deduplicator] as const;
  };
  const entries = await Promise.all(doors.map(open));
  void settle();
  // Every door is there: they have just been opened.
  return Object.fromEntries(entries) as Record<Door, Deduplicator>;
};
