import type { Machine } from './machine.ts';
import type { Bare } from './parts/bare.ts';
import type { ColdStart } from './parts/cold-start.ts';
import type { Idle } from './parts/idle.ts';
import type { Isolation } from './parts/isolation.ts';
import type { Latency } from './parts/latency.ts';
import type { ServiceProfile } from './parts/profiles.ts';
import type { Recovery } from './parts/recovery.ts';
import type { Throughput } from './parts/throughput.ts';
import type { Band, Sample } from './sampler.ts';

/** All that a run of the bench has found; what was not asked for is absent. */
export type Results = {
  /** When it began, in UTC. */
  readonly at: string;
  readonly isQuick: boolean;
  readonly machine: Machine;
  readonly idle?: Idle;
  readonly latency?: readonly Latency[];
  readonly throughput?: readonly Throughput[];
  readonly isolation?: Isolation;
  readonly recovery?: Recovery;
  readonly bare?: Bare;
  readonly coldStart?: ColdStart;
  readonly profiles?: readonly ServiceProfile[];
  readonly samples: readonly Sample[];
  readonly bands: readonly Band[];
};
