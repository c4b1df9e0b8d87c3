/** Between this process's `performance.now()` and the machine's monotonic clock. */
const offsetMicros = Number(process.hrtime.bigint() / 1_000n) - performance.now() * 1_000;

/** Microseconds of the machine's monotonic clock: the same in every process, so that one can take what another gave. */
export const nowMicros = (): number => performance.now() * 1_000 + offsetMicros;
