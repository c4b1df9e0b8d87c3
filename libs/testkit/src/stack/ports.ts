import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { dirname } from 'node:path';

const listenOnce = (port: number, host: string | undefined): Promise<number | undefined> =>
  new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(undefined));
    server.listen({ port, host, exclusive: true }, () => {
      const address = server.address();
      server.close(() => resolve(typeof address === 'object' && address !== null ? address.port : undefined));
    });
  });

/** Whether a server could listen on it now; without a host, on every interface. */
export const isFree = async (port: number, host?: string): Promise<boolean> => (await listenOnce(port, host)) !== undefined;

/** A port nobody listens on at the moment, chosen by the system. */
export const freePort = async (host?: string): Promise<number> => {
  const port = await listenOnce(0, host);
  if (port === undefined) throw new Error('the system gives out no free port');
  return port;
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
