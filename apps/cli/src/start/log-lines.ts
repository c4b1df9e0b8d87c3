/** What a service's log says about why it ended: pino's JSON lines, or plain text from before the logger was there. */
const ERROR_LEVELS: ReadonlySet<string | undefined> = new Set(['error', 'fatal']);

type LogLine = { readonly level?: string; readonly msg?: string; readonly err?: { readonly message?: string } };

const parse = (line: string): LogLine | undefined => {
  if (!line.startsWith('{')) return undefined;
  try {
    return JSON.parse(line) as LogLine;
  } catch {
    return undefined;
  }
};

/** A stack trace's places and the runtime's own closing lines tell a person nothing. */
const isNoise = (line: string): boolean => /^\s+at |^Node\.js v|^\s*[\^{}]*$/.test(line);

const plainError = (lines: readonly string[]): string | undefined =>
  lines.findLast((line) => /\b\w*Error\b.*:/.test(line) && parse(line) === undefined) ?? lines.findLast((line) => parse(line) === undefined && !isNoise(line));

/** The last error of a log, in one line; undefined when it holds none. */
export const lastError = (log: string): string | undefined => {
  const lines = log.split('\n');
  const logged = lines.map(parse).findLast((entry) => ERROR_LEVELS.has(entry?.level));
  if (logged === undefined) return plainError(lines)?.trim();
  const reason = logged.err?.message?.split('\n')[0];
  return [logged.msg, reason === logged.msg ? undefined : reason].filter(Boolean).join(': ') || undefined;
};
