/** What V8's profiler answers, as far as it is read here (Chrome DevTools protocol, `Profiler.Profile`). */
export type Profile = {
  readonly nodes: readonly {
    readonly id: number;
    readonly callFrame: { readonly functionName: string; readonly url: string; readonly lineNumber: number };
    readonly children?: readonly number[];
  }[];
  readonly samples: readonly number[];
};

/**
 * A function, or a package, and its share of the samples in which the process did anything. Samples, not the times between them: these are long where the
 * process waited for a core, which says nothing of the function.
 */
export type Item = { readonly name: string; readonly share: number };

/** Waiting for something to do. */
const IDLE = '(idle)';

const placeOf = (url: string): string => {
  const path = url.replace(/^file:\/\//, '');
  const [, dependency] = /.*\/node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(path) ?? [];
  if (dependency !== undefined && dependency !== '@posthorn') return dependency;
  const [, ours] = /\/((?:apps|libs)\/[^/]+)\//.exec(path) ?? [];
  return ours ?? (path.startsWith('node:') ? 'node' : 'V8 and system calls');
};

const fileOf = (url: string): string => url.split('/').at(-1)?.split('?')[0] ?? '';

const shares = (counts: ReadonlyMap<string, number>): readonly Item[] => {
  const total = [...counts.values()].reduce((sum, one) => sum + one, 0);
  return [...counts].map(([name, one]) => ({ name, share: one / total })).toSorted((a, b) => b.share - a.share);
};

/** By itself, without what it calls; the largest first. */
export const selfTimes = ({ nodes, samples }: Profile): { readonly functions: readonly Item[]; readonly places: readonly Item[] } => {
  const frames = new Map(nodes.map(({ id, callFrame }) => [id, callFrame]));
  const functions = new Map<string, number>();
  const places = new Map<string, number>();
  for (const id of samples) {
    const frame = frames.get(id);
    if (frame === undefined || frame.functionName === IDLE) continue;
    const name = frame.url === '' ? frame.functionName : `${frame.functionName || 'anonymous'} ${fileOf(frame.url)}:${frame.lineNumber + 1}`;
    const place = frame.functionName === '(garbage collector)' ? 'garbage collector' : placeOf(frame.url);
    functions.set(name, (functions.get(name) ?? 0) + 1);
    places.set(place, (places.get(place) ?? 0) + 1);
  }
  return { functions: shares(functions), places: shares(places) };
};
