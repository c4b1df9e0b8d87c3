import { start } from './start/start.js';

const USAGE = `posthorn start [--once] [--dir <folder>] [--no-show]

  --once      show the main job, then stop everything; exit 0 if the delivery arrived verified and audited
  --dir       where data, logs, keys and the env file are kept (default .posthorn)
  --no-show   only start the services
`;

const [, , command, ...args] = process.argv;
const dirAt = args.indexOf('--dir');
const dir = dirAt < 0 ? undefined : args[dirAt + 1];
const unknown = args.find((arg, i) => !['--once', '--no-show', '--dir'].includes(arg) && i !== (dirAt < 0 ? -1 : dirAt + 1));

if (command !== 'start' || unknown !== undefined || (dirAt >= 0 && dir === undefined)) {
  process.stderr.write(`${unknown === undefined ? '' : `unknown argument: ${unknown}\n`}${USAGE}`);
  process.exitCode = 1;
} else {
  const status = await start({ once: args.includes('--once'), show: !args.includes('--no-show'), ...(dir !== undefined && { dir }) });
  // Not by running dry: a keep-alive connection or a late timer must not hold up somebody's Ctrl-C.
  process.exit(status);
}
