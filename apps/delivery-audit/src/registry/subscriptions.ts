import { setTimeout as delay } from 'node:timers/promises';
import { Problem } from '@posthorn/service-kit';
import { standingAt, type ConfigurationChange } from '../explain/configuration.js';

/** What sending to a subscription again depends on. */
export type KnownSubscription = {
  readonly id: string;
  readonly tenant: string;
  readonly enabled: boolean;
  readonly event_types: readonly string[];
  readonly filter?: string | undefined;
  /** Partitions that its deliveries go over. */
  readonly spread: number;
};

export type Queryable = { query<Row>(sql: string, parameters?: readonly unknown[]): Promise<readonly Row[]> };

export type RegistryState = {
  /** Resolves when everything that was in `registry.state` at the call has been read. */
  readonly readFresh: () => Promise<void>;
  readonly position: number;
};

type Row = Omit<ConfigurationChange, 'position' | 'at'> & { readonly stream: string; readonly position: string; readonly at: Date };

const HISTORIES = `
  select stream, version, position, type, data, actor, at from audit.configuration where stream = any($1) order by stream, version`;
const READ_UP_TO = `select coalesce(max(position), 0) as position from audit.configuration`;

const streamOf = (id: string): string => `subscription/${id}`;

const NOW = Number.MAX_SAFE_INTEGER;

const knownOf = (id: string, history: readonly ConfigurationChange[]): KnownSubscription | undefined => {
  const standing = standingAt(history, NOW);
  if (standing.kind !== 'there') return undefined;
  const { tenant, enabled, event_types, filter, policy } = standing.state;
  return { id, tenant, enabled, event_types, filter, spread: policy.spread ?? 1 };
};

/** Those of the subscriptions that there are, as far as the registry's changes have been folded. */
export const findSubscriptions = async (database: Queryable, ids: readonly string[]): Promise<ReadonlyMap<string, KnownSubscription>> => {
  const histories = new Map<string, ConfigurationChange[]>();
  for (const { stream, position, at, ...change } of await database.query<Row>(HISTORIES, [ids.map(streamOf)])) {
    const history = histories.get(stream) ?? [];
    histories.set(stream, history);
    history.push({ ...change, position: Number(position), at: at.toISOString() });
  }
  const known = ids.map((id) => knownOf(id, histories.get(streamOf(id)) ?? []));
  return new Map(known.filter((subscription) => subscription !== undefined).map((subscription) => [subscription.id, subscription]));
};

/** The folding of the log comes milliseconds after that of the state. */
const PATIENCE_MS = 5_000;
const LOOK_AGAIN_MS = 20;

/**
 * Resolves when what the registry had answered before the call is folded: whoever has just made or enabled a subscription finds it so.
 * @throws {Problem} `unavailable`
 */
export const untilRegistryIsRead = async (database: Queryable, registry: RegistryState, patienceMs = PATIENCE_MS): Promise<void> => {
  const untilMs = performance.now() + patienceMs;
  if (!(await isInTime(registry.readFresh(), patienceMs))) throw notRead();
  for (; ; await delay(LOOK_AGAIN_MS)) {
    const [row] = await database.query<{ position: string }>(READ_UP_TO);
    if (Number(row?.position) >= registry.position) return;
    if (performance.now() > untilMs) throw notRead();
  }
};

const notRead = (): Problem => new Problem('unavailable', 'The audit has not yet read what the registry did last. Try again.');

/** Kafka may be away: then reading fails, or takes for as long as that lasts. */
const isInTime = async (reading: Promise<void>, patienceMs: number): Promise<boolean> => {
  const over = new AbortController();
  const isRead = reading.then(() => true, () => false);
  const hasRead = await Promise.race([isRead, delay(patienceMs, false, { signal: over.signal }).catch(() => false)]);
  over.abort();
  return hasRead;
};
