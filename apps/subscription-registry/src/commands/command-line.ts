import { parseArgs, type ParseArgsConfig } from 'node:util';

export const HELP = `Usage: posthorn-registry <command> [options]

  rebuild            make the read model anew from the events, while the registry goes on working
    --verify         compare only: exit with 1, and say where, when a table does not say what the events say
  republish          write registry.log and registry.state again from the first event on, as when the topics were lost
    --wait=false     do not wait until the relay of a running registry has done so
  reencrypt          encrypt every secret that is not encrypted by the first of POSTHORN_ENCRYPTION_KEYS by that key
    --wait=false     do not wait until the relay of a running registry has told the other services

  -h, --help         show this

Configuration: the environment variables of the service subscription-registry.
Exit status: 0 done, 1 failed or, with --verify, a difference was found, 2 wrong usage or configuration.
`;

export type Command =
  | { readonly kind: 'rebuild'; readonly verify: boolean }
  | { readonly kind: 'republish'; readonly wait: boolean }
  | { readonly kind: 'reencrypt'; readonly wait: boolean };

export type CommandLine = Command | { readonly kind: 'help' } | { readonly kind: 'wrong'; readonly message: string };

const wrong = (message: string): CommandLine => ({ kind: 'wrong', message });

const wait = { wait: { type: 'string', default: 'true' } } as const satisfies ParseArgsConfig['options'];

const waiting = (kind: 'republish' | 'reencrypt', rest: readonly string[]): CommandLine => {
  const { values } = parseArgs({ args: [...rest], options: wait });
  if (values.wait !== 'true' && values.wait !== 'false') return wrong('--wait is true or false');
  return { kind, wait: values.wait === 'true' };
};

const commandOf = (name: string | undefined, rest: readonly string[]): CommandLine => {
  switch (name) {
    case undefined:
      return wrong('which command?');
    case 'rebuild': {
      const { values } = parseArgs({ args: [...rest], options: { verify: { type: 'boolean', default: false } } });
      return { kind: name, verify: values.verify };
    }
    case 'republish':
    case 'reencrypt':
      return waiting(name, rest);
    default:
      return wrong(`there is no command ${name}`);
  }
};

/** What `parseArgs` has against the arguments; undefined for any other error. */
const complaintOf = (error: unknown): string | undefined =>
  typeof error === 'object' && error !== null && 'code' in error && 'message' in error && String(error.code).startsWith('ERR_PARSE_ARGS_')
    ? String(error.message)
    : undefined;

/** @param args without the names of node and of the script */
export const parseCommandLine = (args: readonly string[]): CommandLine => {
  if (args.includes('--help') || args.includes('-h')) return { kind: 'help' };
  const [name, ...rest] = args;
  try {
    return commandOf(name, rest);
  } catch (error) {
    const complaint = complaintOf(error);
    if (complaint === undefined) throw error;
    return wrong(complaint);
  }
};
