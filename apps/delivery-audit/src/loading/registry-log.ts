import type { DomainEventRecord } from '@posthorn/contracts';
import { noRows, type Rows } from './rows.js';

type Data = Readonly<Record<string, unknown>>;

/**
 * What is kept of an event's data: what decides who gets an event and where its delivery goes, member by member. Everything else stays behind,
 * encrypted secrets and addresses included, and so does all of an event that is not named here: only that it happened is kept.
 */
const KEPT: Readonly<Record<string, readonly string[]>> = {
  SubscriptionCreated: ['id', 'tenant', 'name', 'event_types', 'filter', 'enabled'],
  SubscriptionUpdated: ['name', 'event_types', 'filter'],
  SubscriptionDisabled: ['reason'],
};
const KEPT_OF_POLICY: readonly string[] = ['spread'];
const WITH_POLICY: ReadonlySet<string> = new Set(['SubscriptionCreated', 'SubscriptionUpdated']);

const pick = (data: Data, names: readonly string[]): Data =>
  Object.fromEntries(names.flatMap((name) => (data[name] === undefined ? [] : [[name, data[name]]])));

const isObject = (value: unknown): value is Data => typeof value === 'object' && value !== null;

const keptOf = (type: string, data: Data): Data => {
  const kept = pick(data, KEPT[type] ?? []);
  const policy = WITH_POLICY.has(type) && isObject(data['policy']) ? pick(data['policy'], KEPT_OF_POLICY) : {};
  return Object.keys(policy).length === 0 ? kept : { ...kept, policy };
};

/** `registry.log` → a row for each event, so that the last position tells how far it was read. @throws {SyntaxError | TypeError} */
export const rowsOfRegistryLog = (value: Buffer): Rows => {
  const { stream, version, position, type, data, actor, at } = JSON.parse(value.toString()) as DomainEventRecord;
  return { ...noRows, configuration: [{ stream, version, position, type, data: JSON.stringify(keptOf(type, data)), actor, at }] };
};
