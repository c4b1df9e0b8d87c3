import { judge, mostMemory } from './aims.ts';
import type { Latency } from './parts/latency.ts';
import type { Lag } from './parts/throughput.ts';
import { costOf } from './parts/throughput.ts';
import { lineChart, type Series, type Shade } from './plot.ts';
import type { Progress } from './rate-search.ts';
import type { Results } from './results.ts';
import { ofAll, ofServices, perThousand } from './sampler.ts';
import { figure, megabytes, table, type Rows } from './table.ts';

export type Plot = { readonly file: string; readonly svg: string };
export type Section = { readonly title: string; readonly text?: string; readonly rows?: Rows; readonly plots: readonly Plot[] };

/** In the order in which an event meets them; then what they stand on, then the bench's own. */
const PROCESSES = ['event-ingestion', 'dispatcher', 'delivery-audit', 'subscription-registry', 'gateway', 'launcher', 'kafka', 'postgres', 'sink', 'generator'] as const;

const rate = (perSecond: number | undefined): string => (perSecond === undefined ? 'none' : figure(perSecond));
const yesOrNo = (isSo: boolean, yes: string, no: string): string => (isSo ? yes : no);

/** How quickly a count rises, between one look and the next. */
const ratesOf = (progress: readonly Progress[], of: (one: Progress) => number): Series['points'] =>
  progress.flatMap((one, n) => {
    const before = progress[n - 1] ?? { seconds: 0, offered: 0, recorded: 0 };
    return one.seconds > before.seconds ? [{ x: one.seconds, y: (of(one) - of(before)) / (one.seconds - before.seconds) }] : [];
  });

const backlogOf = (progress: readonly Progress[]): Series['points'] => progress.map(({ seconds, offered, recorded }) => ({ x: seconds, y: Math.max(0, offered - recorded) }));

const lagSeries = (lags: readonly Lag[]): readonly Series[] => {
  const topics = [...new Set(lags.flatMap(({ records }) => Object.keys(records)))];
  return topics
    .map((name) => ({ name, points: lags.map(({ seconds, records }) => ({ x: seconds, y: records[name] ?? 0 })) }))
    .filter(({ points }) => points.some(({ y }) => y > 0));
};

const aims = (results: Results): Section => ({
  title: 'Aims',
  rows: [['', 'aim', 'found', ''], ...judge(results).map(({ what, aim, found, isMet }) => [what, aim, found, yesOrNo(isMet, 'met', 'missed')])],
  plots: [],
});

const throughput = ({ throughput: all }: Results): readonly Section[] =>
  all === undefined
    ? []
    : [
        {
          title: 'Throughput from the Kafka door',
          text: 'Sustained: events come at that rate, whatever becomes of them, and what is not yet an attempt in the audit neither grows nor exceeds two seconds’ worth. Backlog: written as fast as it goes, from the first event to the last row. Every event is 1 KB.',
          rows: [
            ['fan-out', 'deliveries/s sustained', 'deliveries/s of a backlog', 'repeated', 'rates tried'],
            ...all.map(({ fanOut, sustainedPerSecond, drain, repeated, trials }) => [
              figure(fanOut),
              rate(sustainedPerSecond),
              figure(drain.perSecond),
              String(repeated),
              trials.map(({ perSecond, isSustained }) => `${figure(perSecond)} ${yesOrNo(isSustained, 'yes', 'no')}`).join(', '),
            ]),
          ],
          plots: all.flatMap(({ fanOut, drain, trials }) => {
            const last = trials.find((trial) => trial.isSustained) ?? trials.at(-1);
            return [
              {
                file: `throughput-${fanOut}.svg`,
                svg: lineChart({
                  title: `Deliveries a second, fan-out ${fanOut}`,
                  x: 'seconds',
                  y: 'attempts in the audit a second',
                  series: [
                    { name: 'a backlog', points: ratesOf(drain.progress, ({ recorded }) => recorded) },
                    ...trials.map((trial) => ({ name: `at ${figure(trial.perSecond)}/s`, points: ratesOf(trial.progress, ({ recorded }) => recorded) })),
                  ],
                }),
              },
              {
                file: `backlog-${fanOut}.svg`,
                svg: lineChart({
                  title: `Deliveries offered and not yet in the audit, fan-out ${fanOut}`,
                  x: 'seconds',
                  y: 'deliveries',
                  series: trials.map((trial) => ({ name: `at ${figure(trial.perSecond)}/s`, points: backlogOf(trial.progress) })),
                }),
              },
              ...(last === undefined
                ? []
                : [{ file: `lag-${fanOut}.svg`, svg: lineChart({ title: `Records not done, fan-out ${fanOut}, at ${figure(last.perSecond)}/s`, x: 'seconds', y: 'records', series: lagSeries(last.lags) }) }]),
            ];
          }),
        },
      ];

const latencyRow = ({ name, latency: { p50, p95, p99, p999, max }, late, repeated, cpuMillis }: Latency): readonly string[] => [
  name,
  ...[p50, p95, p99, p999, max].map(figure),
  figure(late.p99),
  figure(cpuMillis),
  String(repeated),
];

const latencyRows = (all: readonly Latency[]): Rows => [
  ['', 'p50', 'p95', 'p99', 'p99.9', 'max', 'generator late, p99', 'CPU ms each, all', 'repeated'],
  ...all.map(latencyRow),
];

const latencyPlot = (one: Latency, file: string): Plot => ({
  file,
  svg: lineChart({
    title: `Publish to arrival: ${one.name}`,
    x: 'seconds',
    y: 'ms',
    isLogarithmic: true,
    series: (['p50', 'p95', 'p99', 'max'] as const).map((name) => ({ name, points: one.overTime.map((second) => ({ x: second.second, y: second[name] })) })),
  }),
});

const latency = ({ latency: all }: Results): readonly Section[] =>
  all === undefined
    ? []
    : [
        {
          title: 'Publish to arrival, in milliseconds',
          text: 'At a rate that no answer slows; from when an event was due, less at most the millisecond that the generator’s timer is coarse, to when the receiver has the whole request. REST: straight to the ingestion, an event a call.',
          rows: latencyRows(all),
          plots: all.map((one, n) => latencyPlot(one, `latency-${n + 1}.svg`)),
        },
      ];

const isolation = ({ isolation: found }: Results): readonly Section[] =>
  found === undefined
    ? []
    : [
        {
          title: 'One hanging subscriber among many, in milliseconds',
          text: 'It takes requests and never answers; the figures are those of the others.',
          rows: latencyRows([found.without, found.beside]),
          plots: [latencyPlot(found.beside, 'isolation.svg')],
        },
      ];

const cost = ({ throughput: all = [], latency: loads = [], recovery, bare }: Results): readonly Section[] => {
  const columns = [
    ...all.map((one) => ({ name: `fan-out ${one.fanOut}`, ...costOf(one) })),
    ...(recovery === undefined ? [] : [{ name: 'recovery', spent: recovery.spent, deliveries: recovery.events }]),
    ...loads.map(({ name, spent, latency: { count } }) => ({ name, spent, deliveries: count })),
  ];
  if (columns.length === 0) return [];
  const each = columns.map(({ spent, deliveries }) => perThousand(spent, deliveries));
  const rows = PROCESSES.map((name) => [name, ...each.map((by) => (by[name] === undefined ? 'not seen' : figure(by[name])))]);
  return [
    {
      title: 'CPU seconds for 1,000 deliveries, by process',
      text: 'The same as milliseconds each. PostgreSQL with all its backends. At fan-outs: of the highest rate that was sustained, else of the backlog.',
      rows: [
        ['', ...columns.map(({ name }) => name)],
        ...rows,
        ['services, Kafka, PostgreSQL', ...columns.map(({ spent, deliveries }) => figure((ofServices(spent) / deliveries) * 1_000))],
        ['all', ...columns.map(({ spent, deliveries }) => figure((ofAll(spent) / deliveries) * 1_000))],
        ...(bare === undefined
          ? []
          : [
              ['bare: sign and POST by undici', ...columns.map(() => figure(bare.postMillis))],
              ['bare: a record read and written by kafkajs', ...columns.map(() => figure(bare.copyMillis))],
            ]),
      ],
      plots: [],
    },
  ];
};

const alone = ({ bare }: Results): readonly Section[] => {
  if (bare === undefined) return [];
  const { perSecond, post, hop } = bare.alone;
  return [
    {
      title: 'What comes alone costs, in milliseconds of CPU, without Posthorn',
      text: `At ${perSecond} a second, so that every request is made for one, and whoever answers it has to wake up. An event crosses Kafka three times on its way, its outcome once more in company.`,
      rows: [
        ['', 'client', 'who answers', 'both'],
        ['a record written and read by kafkajs', figure(hop.client), figure(hop.kafka), figure(hop.client + hop.kafka)],
        ['sign and POST by undici', figure(post.client), figure(post.sink), figure(post.client + post.sink)],
      ],
      plots: [],
    },
  ];
};

const recovery = ({ recovery: found }: Results): readonly Section[] =>
  found === undefined
    ? []
    : [
        {
          title: `Recovery: a backlog of ${figure(found.events)} events`,
          text: `Written while the ingestion was stopped, then ${figure(found.perSecond)} deliveries/s until the last was in the audit, after ${figure(found.seconds)} s; ${found.repeated} repeated.`,
          rows: [
            ['resident memory, MB', 'second quarter', 'last quarter', 'most'],
            ...PROCESSES.flatMap((name) => {
              const memory = found.memory[name];
              return memory === undefined ? [] : [[name, megabytes(memory.second), megabytes(memory.last), megabytes(memory.most)]];
            }),
          ],
          plots: [
            { file: 'recovery-lag.svg', svg: lineChart({ title: 'Records not done, during the recovery', x: 'seconds', y: 'records', series: lagSeries(found.lags) }) },
            { file: 'recovery-rate.svg', svg: lineChart({ title: 'Deliveries a second, during the recovery', x: 'seconds', y: 'attempts in the audit a second', series: [{ name: 'recorded', points: ratesOf(found.progress, ({ recorded }) => recorded) }] }) },
          ],
        },
      ];

const coldStart = ({ coldStart: found }: Results): readonly Section[] =>
  found === undefined
    ? []
    : [
        {
          title: `Cold start with ${figure(found.subscriptions)} subscriptions`,
          text: `Kafka and PostgreSQL answer after ${figure(found.stackSeconds)} s, all services are ready ${figure(found.servicesSeconds)} s later; the first event arrives ${figure(found.firstMillis)} ms after it is published.`,
          plots: [],
        },
      ];

const idle = ({ idle: found }: Results): readonly Section[] =>
  found === undefined
    ? []
    : [
        {
          title: 'Idle, in percent of one core',
          rows: [
            ['', '%'],
            ...PROCESSES.flatMap((name) => (found.spent.cpuSeconds[name] === undefined ? [] : [[name, figure((found.spent.cpuSeconds[name] / found.spent.seconds) * 100)]])),
            ['all', figure(found.share * 100)],
          ],
          plots: [],
        },
      ];

const percent = (share: number): string => `${figure(share * 100)} %`;

const profiles = ({ profiles: all }: Results): readonly Section[] =>
  (all ?? []).map(({ fanOut, service, functions, places }) => ({
    title: `Where the time goes: ${service}, fan-out ${fanOut}`,
    rows: [
      ['function', 'by itself', 'package', 'by itself'],
      ...functions.map(({ name, share }, n) => [name, percent(share), places[n]?.name ?? '', places[n] === undefined ? '' : percent(places[n].share)]),
    ],
    plots: [],
  }));

const overTime = (results: Results): Section => {
  const { samples, bands } = results;
  const shades: readonly Shade[] = bands.map(({ name, fromSeconds, toSeconds }) => ({ name, from: fromSeconds, to: toSeconds }));
  const names = PROCESSES.filter((name) => samples.some(({ usage }) => usage[name] !== undefined));
  const most = mostMemory(results);
  const cpu = (name: string): Series['points'] =>
    samples.flatMap((sample, n) => {
      const before = samples[n - 1];
      const [now, then] = [sample.usage[name], before?.usage[name]];
      if (before === undefined || now === undefined || then === undefined || now.cpuSeconds < then.cpuSeconds) return [];
      return [{ x: sample.seconds, y: (now.cpuSeconds - then.cpuSeconds) / (sample.seconds - before.seconds) }];
    });
  const memory = (name: string): Series['points'] =>
    samples.flatMap(({ seconds, usage }) => (usage[name] === undefined ? [] : [{ x: seconds, y: usage[name].rssBytes / 1e6 }]));
  const chart = (title: string, y: string, of: (name: string) => Series['points']): string =>
    lineChart({ title, x: 'seconds of the bench', y, shades, series: names.map((name) => ({ name, points: of(name) })) });
  return {
    title: 'CPU and memory over time',
    rows: [['resident at most, MB', ''], ...names.map((name) => [name, megabytes(most.get(name) ?? 0)])],
    plots: [
      { file: 'cpu.svg', svg: chart('CPU by process', 'cores', cpu) },
      { file: 'memory.svg', svg: chart('Resident memory by process', 'MB', memory) },
    ],
  };
};

export const sectionsOf = (results: Results): readonly Section[] => [
  aims(results),
  ...throughput(results),
  ...latency(results),
  ...isolation(results),
  ...cost(results),
  ...alone(results),
  ...idle(results),
  ...recovery(results),
  ...coldStart(results),
  ...profiles(results),
  overTime(results),
];

const where = ({ machine, at, isQuick }: Results): string =>
  [
    `${machine.cores} cores (${machine.cpu}), ${machine.memoryGiB} GiB, ${machine.system}; Node ${machine.node}, Kafka ${machine.kafka}, PostgreSQL ${machine.postgres};`,
    `commit ${machine.commit}${machine.isModified ? ' with changes that were not committed' : ''}, ${at}${isQuick ? ', the quick bench' : ''}.`,
    'Kafka, PostgreSQL, all services, sink and generator share the machine.',
  ].join(' ');

/** As it is printed. */
export const inText = (results: Results): string =>
  [where(results), ...sectionsOf(results).flatMap(({ title, text, rows }) => [`\n${title}`, ...(text === undefined ? [] : [text]), ...(rows === undefined ? [] : [table(rows)])])].join('\n');

/** As it is kept, with its plots beside it. */
export const inMarkdown = (results: Results): string =>
  [
    `# The system bench of ${results.at.slice(0, 10)}`,
    where(results),
    ...sectionsOf(results).flatMap(({ title, text, rows, plots }) => [
      `## ${title}`,
      ...(text === undefined ? [] : [text]),
      ...(rows === undefined ? [] : [table(rows)]),
      ...plots.map(({ file }) => `![${file.replace('.svg', '')}](${file})`),
    ]),
  ].join('\n\n') + '\n';
