import { randomInt } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { dirname } from 'node:path';

/**
 * Below what systems give to whoever connects (from 32768 on Linux, from 49152 elsewhere): a port from there would be some
 * connection's by the time that its server listens, or is away for a moment.
 */
const FIRST_PORT = 20_000;
const PORTS = 10_000;

/** Whether a server could listen on it now; without a host, on every interface. */
export const isFree = (port: number, host?: string): Promise<boolean> =>
  new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen({ port, host, exclusive: true }, () => server.close(() => resolve(true)));
  });

let next = randomInt(PORTS);

/** A port nobody listens on at the moment, which the system gives to no connection, and we to nobody else soon. */
export const freePort = async (host?: string): Promise<number> => {
  for (let tried = 0; tried < PORTS; tried += 1) {
    const port = FIRST_PORT + (next++ % PORTS);
    if (await isFree(port, host)) return port;
  }
  throw new Error(`no port from ${FIRST_PORT} to ${FIRST_PORT + PORTS - 1} is free`);
};

const remembered = (file: string): Partial<Record<string, number>> => {
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as Record<string, number>;
  } catch {
    return {};
  }
};

/** A loopback port for each name: the one remembered in the file where it is still free, so that clients' settings stay valid. */
export const portsFor = async <Name extends string>(file: string, names: readonly Name[]): Promise<Record<Name, number>> => {
  const before = remembered(file);
  const entries: [Name, number][] = [];
  for (const name of names) {
    const port = before[name];
    const taken = entries.some(([, other]) => other === port);
    entries.push([name, port !== undefined && !taken && (await isFree(port, '127.0.0.1')) ? port : await freePort('127.0.0.1')]);
  }
  const ports = Object.fromEntries(entries) as Record<Name, number>;
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, `${JSON.stringify(ports, null, 2)}\n`);
  return ports;
};
