import { Counter, Gauge, type Registry } from 'prom-client';
import type { TailOptions } from './tail.js';

export const tailMetrics = (registry: Registry): TailOptions['metrics'] => {
  const watchers = new Gauge({ name: 'posthorn_tail_watchers', help: 'Tails that are open here', registers: [registry] });
  const missed = new Counter({
    name: 'posthorn_tail_missed_total',
    help: 'Outcomes and postponements that were not told to somebody who reads too slowly',
    registers: [registry],
  });
  return { watchers: (count) => watchers.set(count), missed: () => missed.inc() };
};
