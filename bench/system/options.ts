/** What can be asked for by name, in the order in which it is done. */
export const PARTS = ['idle', 'latency', 'throughput', 'isolation', 'recovery', 'bare', 'cold-start'] as const;
export type Part = (typeof PARTS)[number];

export type Options = {
  /** Two minutes instead of twenty: the same parts, smaller. */
  readonly isQuick: boolean;
  readonly parts: readonly Part[];
  /** Results are kept in docs/benchmarks. */
  readonly isSaved: boolean;
  /** A CPU profile of every service at a steady load, too; what else is measured is slower then. */
  readonly isProfiled: boolean;
};

export const USAGE = `npm run bench [-- [--quick] [--only ${PARTS.join(',')}] [--profile] [--save]]`;

const isPart = (name: string): name is Part => PARTS.some((part) => part === name);

/** A string says what is wrong. */
export const parseOptions = (args: readonly string[]): Options | string => {
  let options: Options = { isQuick: false, parts: PARTS, isSaved: false, isProfiled: false };
  for (let n = 0; n < args.length; n += 1) {
    const arg = args[n] ?? '';
    const [, inline] = /^--only=(.*)$/.exec(arg) ?? [];
    if (arg === '--quick') options = { ...options, isQuick: true };
    else if (arg === '--save') options = { ...options, isSaved: true };
    else if (arg === '--profile') options = { ...options, isProfiled: true };
    // With no name it is none of them: then there are only the profiles.
    else if (arg === '--only' || inline !== undefined) {
      const names = (inline ?? args[(n += 1)] ?? '').split(',').filter(Boolean);
      const unknown = names.filter((name) => !isPart(name));
      if (unknown.length > 0) return `no such part: ${unknown.join(', ')}; there are ${PARTS.join(', ')}`;
      options = { ...options, parts: PARTS.filter((part) => names.includes(part)) };
    } else return `unknown argument: ${arg}\n${USAGE}`;
  }
  return options;
};

/** How large everything is. */
export type Sizes = {
  readonly warmUpSeconds: number;
  readonly idleSeconds: number;
  readonly latencySeconds: number;
  /** By REST, and by Kafka, at half of the sustained rate too. */
  readonly isLatencyAtHalf: boolean;
  readonly throughput: readonly { readonly fanOut: number; readonly backlog: number; readonly seconds: number; readonly trials: number; readonly precision: number }[];
  readonly isolationSeconds: number;
  readonly recoveryEvents: number;
  readonly profileSeconds: number;
  readonly bareCount: number;
  readonly bareAloneSeconds: number;
  readonly coldStartSubscriptions: number;
};

export const sizesOf = ({ isQuick }: Pick<Options, 'isQuick'>): Sizes =>
  isQuick
    ? {
        warmUpSeconds: 5,
        idleSeconds: 5,
        latencySeconds: 4,
        isLatencyAtHalf: false,
        throughput: [1, 10].map((fanOut) => ({ fanOut, backlog: 20_000 * (fanOut === 1 ? 1 : 2), seconds: 5, trials: 1, precision: 0.3 })),
        isolationSeconds: 4,
        recoveryEvents: 20_000,
        profileSeconds: 5,
        bareCount: 10_000,
        bareAloneSeconds: 4,
        coldStartSubscriptions: 5_000,
      }
    : {
        warmUpSeconds: 30,
        idleSeconds: 20,
        latencySeconds: 30,
        isLatencyAtHalf: true,
        throughput: [1, 10, 1_000].map((fanOut) => ({ fanOut, backlog: fanOut === 1 ? 60_000 : 120_000, seconds: 20, trials: 6, precision: 0.05 })),
        isolationSeconds: 30,
        recoveryEvents: 200_000,
        profileSeconds: 20,
        bareCount: 100_000,
        bareAloneSeconds: 20,
        coldStartSubscriptions: 100_000,
      };
