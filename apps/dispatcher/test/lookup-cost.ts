/**
 * What looking up an event's subscriptions takes of the CPU, in a table of so many, ten of which match, with nothing else in the process; and the
 * table's own bytes. `node --expose-gc lookup-cost.ts <subscriptions>`; answers by one line of JSON. For `npm run bench routing`.
 */
import { partitionOf, type SubscriptionState } from '@posthorn/contracts';
import { SubscriptionTable } from '../dist/router/subscription-table.js';

const subscriptions = Number(process.argv[2]);
const tenants = subscriptions / 10;
const LOOKUPS = 200_000;
const PARTITIONS = 12;
const LARGE_TENANT = 100_000;

const at = '2026-01-01T00:00:00.000Z';
const state = (n: number, tenant: string, enabled = true): SubscriptionState => ({
  kind: 'subscription',
  id: `sub_${n.toString(16).padStart(12, '0')}${Math.imul(n, 0x9e3779b1).toString(16).padStart(20, '0')}`,
  tenant,
  name: 'bench',
  type: 'rest',
  url: 'https://example.com',
  event_types: n % 10 === 0 ? ['*'] : ['order.created', `invoice.${n % 50}.*`],
  enabled,
  enabled_since: at,
  payload: { format: 'standard' },
  authentication: { type: 'none' },
  headers: {},
  policy: { timeout_ms: 15_000, max_concurrency: 10, ordering: 'none', disable_after_ms: 0 },
  metadata: {},
  signing_secrets: [{ scheme: 'v1', key_id: 'k1', ciphertext: '' }],
  created_at: at,
  updated_at: at,
});

const bytes = (): number => {
  globalThis.gc?.();
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
};

/** Of CPU: what else the machine does counts less. */
const microsecondsEach = (times: number, work: (n: number) => void): number => {
  const before = process.cpuUsage();
  for (let n = 0; n < times; n += 1) work(n);
  const { user, system } = process.cpuUsage(before);
  return (user + system) / times;
};

const table = new SubscriptionTable((id) => partitionOf(id, PARTITIONS));
const before = bytes();
for (let n = 0; n < subscriptions; n += 1) table.changed(state(n, `t${n % tenants}`));
const tableBytes = bytes() - before;

let found = 0;
/** Tenants in no order that a cache could follow. */
const lookUp = (n: number): void => {
  const tenant = (Math.imul(n, 0x9e3779b1) >>> 0) % tenants;
  found += table.candidates(`t${tenant}`, 'order.created').unfiltered.length;
};
microsecondsEach(LOOKUPS, lookUp);
const lookupMicros = microsecondsEach(LOOKUPS, lookUp);

for (let n = 0; n < LARGE_TENANT; n += 1) table.changed(state(subscriptions + n, 'large'));
const changeMicros = microsecondsEach(LARGE_TENANT, (n) => table.changed(state(subscriptions + n, 'large', n % 2 === 0)));

process.stdout.write(`${JSON.stringify({ lookupMicros, found: found / (2 * LOOKUPS), changeMicros, bytesEach: tableBytes / subscriptions })}\n`);
