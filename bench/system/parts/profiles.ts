import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { Bench } from '../bench.ts';
import { startProfile } from '../inspector.ts';
import { selfTimes, type Item } from '../profile.ts';

const PROFILED = ['event-ingestion', 'dispatcher', 'delivery-audit', 'subscription-registry'];
const LARGEST = 10;
const LEAD_IN_MS = 2_000;
const CONCURRENCY = 100;

export type ServiceProfile = { readonly fanOut: number; readonly service: string; readonly functions: readonly Item[]; readonly places: readonly Item[] };

export type ProfilesWish = {
  readonly fanOut: number;
  /** Deliveries. */
  readonly perSecond: number;
  readonly seconds: number;
  /** Where the profiles go, for a viewer. */
  readonly folder: string;
};

/** Where each service's time goes at a steady load. The bench must have been started with `INSPECTABLE`. */
export const measureProfiles = async (bench: Bench, { fanOut, perSecond, seconds, folder }: ProfilesWish): Promise<readonly ServiceProfile[]> => {
  const type = `bench.profile.${fanOut}`;
  const subscriptions = await bench.subscribe(Array.from({ length: fanOut }, () => ({ type, concurrency: CONCURRENCY })));
  const eventsPerSecond = perSecond / fanOut;
  const loading = await bench.begin({ types: [type], events: Math.round(eventsPerSecond * (seconds + LEAD_IN_MS / 1_000)), perSecond: eventsPerSecond, fanOut });
  await delay(LEAD_IN_MS);
  const processes = bench.system.processes();
  const stops = await Promise.all(PROFILED.map((service) => startProfile(processes[service] ?? 0, join(bench.dir, 'logs', `${service}.log`))));
  await loading.settled();
  const profiles = await Promise.all(stops.map((stop) => stop()));
  await loading.verified();
  await bench.unsubscribe(subscriptions);
  mkdirSync(folder, { recursive: true });
  return profiles.map((profile, n) => {
    const service = PROFILED[n] ?? '';
    writeFileSync(join(folder, `${service}-${fanOut}.cpuprofile`), JSON.stringify(profile));
    const { functions, places } = selfTimes(profile);
    return { fanOut, service, functions: functions.slice(0, LARGEST), places: places.slice(0, LARGEST) };
  });
};
