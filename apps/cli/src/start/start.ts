import { existsSync, readFileSync, rmSync } from 'node:fs';
import { join, relative, resolve } from 'node:path';
import { StackError, freePort, isFree, posthornDir, reasonOf, repositoryRoot, startStack, takeLock, type Received, type Stack } from '@posthorn/testkit';
import colors from 'picocolors';
import { apiAt } from './api.js';
import { Board, type Step } from './display.js';
import { Fleet } from './fleet.js';
import { keysIn, writePrivately } from './keys.js';
import { lineBudget } from './rate-limited.js';
import { envFile, environmentOf, services, urlOf, type Ports, type ServiceName, type Settings } from './services.js';
import { runShow, type Show } from './show.js';
import { closing } from './closing.js';
import { untilAsked } from './signals.js';

export type StartOptions = {
  /** Show the main job, then stop. */
  readonly once: boolean;
  /** Whether to show it at all. */
  readonly show: boolean;
  readonly dir?: string;
};

const LINES_PER_SECOND = 5;

const out = process.stdout;
const say = (text = ''): void => {
  out.write(`${text}\n`);
};

type Moved = (service: ServiceName, from: number, to: number) => void;

/** The port of api.md where it is free; told by `moved` where it is not. */
const choosePort = async (service: ServiceName, port: number, moved: Moved): Promise<number> => {
  if ((await isFree(port)) && (await isFree(port, '127.0.0.1'))) return port;
  const other = await freePort('127.0.0.1');
  moved(service, port, other);
  return other;
};

const choosePorts = async (moved: Moved): Promise<Pick<Settings, 'ports' | 'grpcPorts'>> => {
  const ports: Partial<Record<ServiceName, number>> = {};
  const grpcPorts: Partial<Record<ServiceName, number>> = {};
  for (const { name, port, grpcPort } of services) {
    ports[name] = await choosePort(name, port, moved);
    if (grpcPort !== undefined) grpcPorts[name] = await choosePort(name, grpcPort, moved);
  }
  return { ports: ports as Ports, grpcPorts }; // one for each service
};

const mainOf = (service: ServiceName): string => join(repositoryRoot, 'apps', service, 'dist', 'main.js');

const urlInFile = (file: string): string | undefined =>
  existsSync(file) ? /^POSTHORN_URL=(.*)$/m.exec(readFileSync(file, 'utf8'))?.[1] : undefined;

/** Everything that is up or coming up, so that it can be taken down again whatever happened on the way. */
type Running = { stack?: Promise<Stack>; fleet?: Fleet; show?: Show };

const takeDown = async ({ show, fleet, stack }: Running): Promise<void> => {
  await show?.close();
  await fleet?.stop();
  await stack?.then(
    (up) => up.stop(),
    () => {},
  );
};

const bringUpStack = async (dir: string, board: Board): Promise<Stack> => {
  const steps: Readonly<Record<'PostgreSQL' | 'Kafka', Step>> = { PostgreSQL: board.add('PostgreSQL'), Kafka: board.add('Kafka') };
  const words = { environment: 'given by the environment', container: 'in a container', local: 'on this machine' };
  try {
    return await startStack({
      dir: join(dir, 'local'),
      downloads: posthornDir,
      onProgress: ({ part, state, kind }) => {
        if (state === 'ready') steps[part].done(words[kind]);
        else steps[part].note(state === 'fetching' ? 'fetching it, once' : words[kind]);
      },
    });
  } catch (error) {
    board.end();
    throw error;
  }
};

const bringUpServices = async (fleet: Fleet, ports: Ports, board: Board): Promise<void> => {
  const results = await Promise.allSettled(
    services.map(async ({ name }) => {
      const step = board.add(name);
      try {
        await fleet.start(name);
        step.done(urlOf(ports, name));
      } catch (error) {
        step.failed();
        throw error;
      }
    }),
  );
  const failed = results.flatMap((result) => (result.status === 'rejected' ? [reasonOf(result.reason)] : []));
  if (failed.length > 0) throw new Error(failed.join('\n'));
};

/** A line for every delivery to the built-in receiver, as long as they come no faster than one can read. */
const narrate = (): ((request: Received, latencyMs: number | undefined, problem: string | undefined) => void) => {
  const budget = lineBudget(LINES_PER_SECOND);
  return (request, _, problem) => {
    const { print, keptBack } = budget.take(performance.now());
    if (!print) return;
    const more = keptBack > 0 ? colors.gray(` (and ${keptBack} before it)`) : '';
    const id = String(request.headers['webhook-id']);
    if (problem === undefined) say(`  ${colors.green('✓')} delivered ${id}, signature verified${more}`);
    else say(`  ${colors.red('✗')} request ${id} refused: ${problem}${more}`);
  };
};

/** The whole of `npm start`. Resolves with the exit status once nothing of it runs any more. */
export const start = async ({ once, show, dir: givenDir }: StartOptions): Promise<number> => {
  const startedMs = performance.now();
  const dir = resolve(givenDir ?? posthornDir);
  const envPath = join(dir, 'env');
  const lock = takeLock(join(dir, 'start.lock'));
  if ('heldBy' in lock) {
    const url = urlInFile(envPath);
    process.stderr.write(`Posthorn is running here already (process ${lock.heldBy.pid}${url ? `, ${url}` : ''}); end it with Ctrl-C in its terminal or \`kill ${lock.heldBy.pid}\`.\n`);
    return 1;
  }
  const asked = untilAsked();
  const running: Running = {};
  const board = new Board(out, colors);
  const news = (text: string): void => say(`  ${colors.yellow('!')} ${text}`);
  let status = 0;
  try {
    say();
    const work = async (): Promise<void> => {
      const missing = services.find(({ name }) => !existsSync(mainOf(name)));
      if (missing) throw new Error(`${missing.name} is not built: ${mainOf(missing.name)} is missing`);
      const keys = keysIn(join(dir, 'keys.json'));
      running.stack = bringUpStack(dir, board);
      const { brokers, databaseUrl } = await running.stack;
      if (asked.asked()) return;
      const moves: string[] = [];
      const chosen = await choosePorts((name, from, to) => moves.push(`port ${from} is taken: ${name} listens on ${to}`));
      const { ports } = chosen;
      const settings: Settings = { ...chosen, brokers, databaseUrl, ...keys };
      running.fleet = new Fleet({
        processOf: (name) => ({
          main: mainOf(name),
          url: urlOf(ports, name),
          env: { ...process.env, ...environmentOf(name, settings) },
          logFile: join(dir, 'logs', `${name}.log`),
        }),
        onPids: (pids) => writePrivately(envPath, envFile(settings, pids)),
        onNews: news,
      });
      await bringUpServices(running.fleet, ports, board);
      board.end();
      for (const move of moves) news(move);
      if (show) {
        say(`\n  ${colors.bold('The main job')}`);
        running.show = await runShow({
          api: apiAt(urlOf(ports, 'gateway'), keys.adminApiKey),
          brokers,
          onDelivery: narrate(),
          tell: (what, text) => say(`  ${colors.green('✓')} ${what.padEnd(13)} ${text}`),
        });
      }
      const elapsed = ((performance.now() - startedMs) / 1_000).toFixed(1);
      say(once ? `\n  Done in ${elapsed} s.\n` : closing({ settings, elapsed, dir: relative(process.cwd(), dir) || '.', topic: running.show?.publisher.topic }));
    };
    await Promise.race([work(), asked.promise]);
    if (!once && !asked.asked()) {
      const failure = await Promise.race([running.stack?.then((up) => up.ended), asked.promise]);
      if (failure instanceof Error) throw failure;
    }
  } catch (error) {
    board.end();
    if (!asked.asked()) {
      status = 1;
      process.stderr.write(`\n  ${colors.red(error instanceof StackError || error instanceof Error ? error.message : String(error))}\n\n`);
    }
  }
  board.end();
  if (!once && status === 0) say('\n  Stopping …');
  await takeDown(running);
  rmSync(envPath, { force: true });
  lock.release();
  return once && asked.asked() ? 1 : status;
};
