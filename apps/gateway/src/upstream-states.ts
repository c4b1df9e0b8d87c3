/** Within the second that a readiness probe is given. */
const LIMIT_MS = 800;

const stateOf = async (url: string, limitMs: number): Promise<string> => {
  try {
    const response = await fetch(new URL('/healthz', url), { signal: AbortSignal.timeout(limitMs) });
    await response.body?.cancel();
    return response.ok ? 'ok' : `answers ${response.status}`;
  } catch {
    return 'away';
  }
};

/** Whether each service answers, by name: `ok`, `away`, or the status it answers with. */
export const upstreamStates = async (
  urls: Readonly<Record<string, string>>,
  limitMs = LIMIT_MS,
): Promise<Readonly<Record<string, string>>> =>
  Object.fromEntries(await Promise.all(Object.entries(urls).map(async ([name, url]) => [name, await stateOf(url, limitMs)] as const)));
