import { parseArgs } from 'node:util';

export const HELP = `Usage: posthorn-audit rebuild --from <time> [--verify]

  rebuild            fold the topics again from a time on, and put what comes out in the place of the tables, while the audit goes on
    --from <time>    a day (2026-01-31) or a time (2026-01-31T12:00:00Z). Days of UTC are rebuilt whole: the first is the one that
                     begins at this time or next after it. The topics must reach back to its beginning
    --verify         compare only: exit with 1, and say where, when a table does not say what the topics say

  -h, --help         show this

Configuration: the environment variables of the service delivery-audit.
Exit status: 0 done, 1 failed or, with --verify, a difference was found, 2 wrong usage or configuration.
`;

export type Command = {
  readonly kind: 'rebuild';
  /** The first day that is rebuilt. */
  readonly firstDay: string;
  readonly verify: boolean;
};

export type CommandLine = Command | { readonly kind: 'help' } | { readonly kind: 'wrong'; readonly message: string };

const wrong = (message: string): CommandLine => ({ kind: 'wrong', message });

const DAY_MS = 86_400_000;
const DAY_OR_TIME = /^\d{4}-\d\d-\d\d(?:T.+)?$/;

/** The day of UTC that begins at the time or next after it; undefined when it is no time. */
const firstDayFrom = (from: string): string | undefined => {
  const atMs = DAY_OR_TIME.test(from) ? Date.parse(from) : Number.NaN;
  return Number.isNaN(atMs) ? undefined : new Date(Math.ceil(atMs / DAY_MS) * DAY_MS).toISOString().slice(0, 'yyyy-mm-dd'.length);
};

const rebuilding = (rest: readonly string[], nowMs: number): CommandLine => {
  const { values } = parseArgs({ args: [...rest], options: { from: { type: 'string' }, verify: { type: 'boolean', default: false } } });
  if (values.from === undefined) return wrong('--from is missing: since when?');
  const firstDay = firstDayFrom(values.from);
  if (firstDay === undefined) return wrong(`--from is no day and no time: ${values.from}`);
  if (Date.parse(firstDay) > nowMs) return wrong(`no day has begun since ${values.from}: days are rebuilt whole, and of UTC`);
  return { kind: 'rebuild', firstDay, verify: values.verify };
};

/** What `parseArgs` has against the arguments; undefined for any other error. */
const complaintOf = (error: unknown): string | undefined =>
  typeof error === 'object' && error !== null && 'code' in error && 'message' in error && String(error.code).startsWith('ERR_PARSE_ARGS_')
    ? String(error.message)
    : undefined;

/** @param args without the names of node and of the script */
export const parseCommandLine = (args: readonly string[], nowMs: number): CommandLine => {
  if (args.includes('--help') || args.includes('-h')) return { kind: 'help' };
  const [name, ...rest] = args;
  if (name === undefined) return wrong('which command?');
  if (name !== 'rebuild') return wrong(`there is no command ${name}`);
  try {
    return rebuilding(rest, nowMs);
  } catch (error) {
    const complaint = complaintOf(error);
    if (complaint === undefined) throw error;
    return wrong(complaint);
  }
};
