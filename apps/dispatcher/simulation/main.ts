import { parseArgs } from 'node:util';
import { play } from './history.js';
import { reportOf } from './report.js';
import { scenarioOf } from './scenario.js';

const { values } = parseArgs({
  options: {
    seeds: { type: 'string', default: '2000' },
    from: { type: 'string', default: '1' },
    minutes: { type: 'string' },
    /** Failures after which it ends. */
    failures: { type: 'string', default: '1' },
    /** Only the failing seeds, one a line. */
    brief: { type: 'boolean', default: false },
  },
});

const say = (text: string): void => void process.stdout.write(`${text}\n`);

const from = Number(values.from);
const seeds = Number(values.seeds);
const untilMs = values.minutes === undefined ? Infinity : performance.now() + Number(values.minutes) * 60_000;
const startMs = performance.now();
const total = { seeds: 0, failures: 0, deliveries: 0, requests: 0, events: 0, days: 0 };

for (let seed = from; seed < from + seeds && performance.now() < untilMs && total.failures < Number(values.failures); seed++) {
  const { violation, deliveries, requests, events, elapsedMs } = await play(scenarioOf(seed));
  total.seeds += 1;
  total.deliveries += deliveries;
  total.requests += requests;
  total.events += events;
  total.days += elapsedMs / 86_400_000;
  if (violation === undefined) continue;
  total.failures += 1;
  say(values.brief ? `${seed}\t${violation.invariant}\t${violation.what}` : await reportOf(seed));
}

const seconds = (performance.now() - startMs) / 1_000;
const cpuSeconds = process.cpuUsage().user / 1e6;
say(
  `${total.seeds} seeds, ${total.failures} failed: ${total.deliveries} deliveries, ${total.requests} requests, ${total.events} events, ${Math.round(total.days)} days in ${seconds.toFixed(1)} s, ` +
    `${(total.seeds / cpuSeconds).toFixed(0)} seeds a second of CPU`,
);
process.exitCode = total.failures === 0 ? 0 : 1;
