import { costOf } from './parts/throughput.ts';
import { ofServices } from './sampler.ts';
import { figure, megabytes } from './table.ts';
import type { Latency } from './parts/latency.ts';
import type { Results } from './results.ts';

/** What was aimed at, beside what was found. */
export type Judged = { readonly what: string; readonly aim: string; readonly found: string; readonly isMet: boolean };

/** On two cores, with Kafka, PostgreSQL, sink and generator on them too. */
const AIMS = {
  throughput: new Map([
    [1, { perSecond: 6_000, cpuMillis: 0.19 }],
    [10, { perSecond: 12_000, cpuMillis: 0.1 }],
  ]),
  latency: { p50: 4, p99: 15 },
  besideSlow: 1.2,
  cpuMillisAtLowRate: 1.5,
  idleShare: 0.03,
  rssBytes: new Map([['dispatcher', 300e6]]),
  otherRssBytes: 250e6,
  /** Memory is flat when the last quarter of a recovery has no more than so much of what the second had. */
  flat: 1.15,
} as const;

/** At which rate the time and the cost of an event that comes alone are judged. */
export const LOW_RATE = 200;
/** Names of loads whose figures are compared with each other. */
export const NAMES = { kafka: `Kafka door, ${LOW_RATE}/s`, rest: `REST, ${LOW_RATE}/s`, kafkaBesideSlow: `Kafka door, ${LOW_RATE}/s, beside a slow one`, restBesideSlow: `REST, ${LOW_RATE}/s, beside a slow one` } as const;

const SERVICES: ReadonlySet<string> = new Set(['gateway', 'subscription-registry', 'event-ingestion', 'dispatcher', 'delivery-audit']);

const atMost = (what: string, limit: number, value: number, unit: string): Judged => ({ what, aim: `≤ ${figure(limit)}${unit}`, found: `${figure(value)}${unit}`, isMet: value <= limit });

const compared = (what: string, alone: Latency | undefined, beside: Latency | undefined): readonly Judged[] =>
  alone === undefined || beside === undefined
    ? []
    : (['p50', 'p99'] as const).map((name) => atMost(`${what}, ${name}`, AIMS.besideSlow, beside.latency[name] / alone.latency[name], ' times'));

const throughputAims = ({ throughput = [] }: Results): readonly Judged[] =>
  throughput.flatMap((one) => {
    const aim = AIMS.throughput.get(one.fanOut);
    if (aim === undefined) return [];
    const { spent, deliveries } = costOf(one);
    const perSecond = one.sustainedPerSecond ?? 0;
    return [
      { what: `deliveries a second sustained, fan-out ${one.fanOut}`, aim: `≥ ${figure(aim.perSecond)}`, found: figure(perSecond), isMet: perSecond >= aim.perSecond },
      atMost(`CPU a delivery, services, Kafka and PostgreSQL, fan-out ${one.fanOut}`, aim.cpuMillis, (ofServices(spent) / deliveries) * 1_000, ' ms'),
    ];
  });

const latencyAims = ({ latency = [], isolation }: Results): readonly Judged[] => {
  const named = (name: string): Latency | undefined => latency.find((one) => one.name === name);
  const rest = named(NAMES.rest);
  const lowRate = [named(NAMES.kafka), rest].flatMap((one) => (one === undefined ? [] : [atMost(`CPU a delivery at ${one.name}, all processes`, AIMS.cpuMillisAtLowRate, one.cpuMillis, ' ms')]));
  return [
    ...(rest === undefined
      ? []
      : [
          atMost(`${rest.name}, publish to arrival, p50`, AIMS.latency.p50, rest.latency.p50, ' ms'),
          atMost(`${rest.name}, publish to arrival, p99`, AIMS.latency.p99, rest.latency.p99, ' ms'),
        ]),
    ...compared(`${NAMES.rest}, beside a slow subscriber`, rest, named(NAMES.restBesideSlow)),
    ...compared(`${NAMES.kafka}, beside a slow subscriber`, named(NAMES.kafka), named(NAMES.kafkaBesideSlow)),
    ...compared('beside one that hangs', isolation?.without, isolation?.beside),
    ...lowRate,
  ];
};

/** The most that each process had at any time. */
export const mostMemory = ({ samples }: Pick<Results, 'samples'>): ReadonlyMap<string, number> => {
  const most = new Map<string, number>();
  for (const { usage } of samples) for (const [name, { rssBytes }] of Object.entries(usage)) most.set(name, Math.max(most.get(name) ?? 0, rssBytes));
  return most;
};

const memoryAims = (results: Results): readonly Judged[] => [
  ...[...mostMemory(results)].flatMap(([name, bytes]) => {
    if (!SERVICES.has(name)) return [];
    const limit = AIMS.rssBytes.get(name) ?? AIMS.otherRssBytes;
    return [{ what: `resident memory of ${name}, at any time`, aim: `≤ ${megabytes(limit)} MB`, found: `${megabytes(bytes)} MB`, isMet: bytes <= limit }];
  }),
  ...Object.entries(results.recovery?.memory ?? {}).flatMap(([name, { second, last }]) =>
    SERVICES.has(name) ? [atMost(`memory of ${name} at the end of the recovery, of what it had`, AIMS.flat, last / second, ' times')] : [],
  ),
];

export const judge = (results: Results): readonly Judged[] => [
  ...throughputAims(results),
  ...latencyAims(results),
  ...(results.idle === undefined ? [] : [atMost('idle, all processes, of one core', AIMS.idleShare * 100, results.idle.share * 100, ' %')]),
  ...memoryAims(results),
];
