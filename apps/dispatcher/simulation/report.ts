import { play } from './history.js';
import { scenarioOf, type Moment, type Scenario, type SubscriptionPlan } from './scenario.js';
import { shrink } from './shrink.js';

/** What a failing seed leaves behind: what broke, its shortest history, and the last steps of that. */
export const reportOf = async (seed: number): Promise<string> => {
  const scenario = scenarioOf(seed);
  const { scenario: smallest } = await shrink({ scenario, result: await play(scenario) });
  const { violation, trace } = await play(smallest, { isTraced: true });
  return [
    `seed ${seed}: ${violation === undefined ? 'no failure' : `"${violation.invariant}" does not hold after ${inSeconds(violation.atMs)}:`}`,
    `  ${violation?.what ?? ''}`,
    '',
    'The shortest history that was found:',
    ...describe(smallest),
    '',
    'Its last steps:',
    ...trace.map((line) => `  ${line}`),
    '',
    `Again: npm run simulate -- --from ${seed} --seeds 1`,
  ].join('\n');
};

const describe = ({ partitions, maxInFlight, windowBytes, backlogLimit, processes, subscriptions, events, users, faults }: Scenario): readonly string[] => [
  `  ${partitions} partitions, ${maxInFlight} requests in flight, windows of ${windowBytes} bytes, ${backlogLimit} in the backlog`,
  ...processes.map(({ name, roles, startMs }) => `  ${name}: ${roles.join(' and ')}, from ${inSeconds(startMs)} on`),
  ...subscriptions.map((plan) => `  ${plan.id}: ${inWords(plan)}`),
  ...events.map(
    ({ id, atMs, subscriptions, key, bytes, isRepeated }) =>
      `  ${inSeconds(atMs)}: ${id} for ${subscriptions.join(', ')}${key === undefined ? '' : `, key ${key}`}, ${bytes} bytes${isRepeated ? ', twice' : ''}`,
  ),
  ...users.map(
    ({ atMs, kind, event, subscription, isForced, isRepeated }) =>
      `  ${inSeconds(atMs)}: a user ${kind === 'cancel' ? 'cancels' : 'asks again for'} ${event}→${subscription}${isForced ? ', in any case' : ''}${isRepeated ? ', twice' : ''}`,
  ),
  ...faults.map((fault) => {
    if (!('moment' in fault)) return `  ${inSeconds(fault.atMs)}: ${JSON.stringify(fault)}`;
    const forMs = fault.kind === 'stall' ? fault.forMs : fault.downMs;
    return `  ${momentOf(fault.moment)}: ${fault.kind} of ${fault.process} for ${inSeconds(forMs)}`;
  }),
];

const inWords = ({ maxConcurrency, rate, ordering, spread, timeoutMs, scheduleMs, behaviours, changes }: SubscriptionPlan): string =>
  [
    `${maxConcurrency} at a time`,
    rate && `${rate.per_second}/s, burst ${rate.burst}`,
    ordering === 'by_key' && 'by key',
    spread > 1 && `over ${spread} partitions`,
    `timeout ${inSeconds(timeoutMs)}`,
    `retries after ${scheduleMs?.map(inSeconds).join(', ') ?? 'the default schedule'}`,
    behaviours.map(({ kind, latencyMs, untilMs }) => `${kind} (${latencyMs} ms)${Number.isFinite(untilMs) ? ` until ${inSeconds(untilMs)}` : ''}`).join(', then '),
    ...changes.map(({ kind, atMs }) => `${kind} at ${inSeconds(atMs)}`),
  ]
    .filter((part) => part !== false && part !== undefined)
    .join('; ');

const momentOf = (moment: Moment): string => ('atMs' in moment ? inSeconds(moment.atMs) : `after ${moment.after} ${moment.count}`);

const inSeconds = (ms: number): string => `${Math.round(ms) / 1_000} s`;
