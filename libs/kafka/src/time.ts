/**
 * Time as a part that is handed in: the dispatcher's simulator runs this library's consumer and producer by a clock of its own. Milliseconds
 * everywhere.
 */
export type Time = {
  /** Never goes back; from no particular beginning. */
  readonly nowMs: () => number;
  /** Both return what calls it off. */
  readonly after: (ms: number, run: () => void) => () => void;
  readonly every: (ms: number, run: () => void) => () => void;
};

export const realTime: Time = {
  nowMs: () => performance.now(),
  after: (ms, run) => {
    const timer = setTimeout(run, ms);
    return () => clearTimeout(timer);
  },
  every: (ms, run) => {
    const timer = setInterval(run, ms);
    return () => clearInterval(timer);
  },
};
