import type { LookupAddress } from 'node:dns';
import { NameFailed, type NameRecord, type Resolve } from '../resolve.js';
import { parseHosts, WatchedFile, type Hosts } from './hosts-file.js';
import { NameCache } from './name-cache.js';
import { NameServers } from './name-servers.js';
import { SystemLookup } from './system-lookup.js';

export type NameResolverOptions = {
  /** `host:port` or `host` each. When given, they alone are asked: what they do not know does not exist. Default: those of `/etc/resolv.conf`, then the system. */
  readonly servers?: readonly string[] | undefined;
  /** For each way of asking. Default 4000, which leaves a second of the time that connecting may take. */
  readonly timeoutMs?: number | undefined;
  readonly hostsPath?: string | undefined;
  readonly resolvConfPath?: string | undefined;
  readonly nowMs?: (() => number) | undefined;
};

const DEFAULT_TIMEOUT_MS = 4_000;

const LOOPBACK: readonly LookupAddress[] = [
  { address: '127.0.0.1', family: 4 },
  { address: '::1', family: 6 },
];

/**
 * Where the addresses of names come from: the hosts file, then what is remembered, then the name servers, and for what they do not know the operating system.
 * `localhost` and what is below it is this machine, whatever a server says (RFC 6761, 6.3).
 */
export const nameResolver = (options: NameResolverOptions = {}): Resolve => {
  const { servers, timeoutMs = DEFAULT_TIMEOUT_MS, hostsPath = '/etc/hosts', resolvConfPath = '/etc/resolv.conf', nowMs = () => performance.now() } = options;
  const hosts = new WatchedFile<Hosts>(hostsPath, parseHosts, nowMs);
  const query = servers === undefined ? openQuery(resolvConfPath, timeoutMs, nowMs) : closedQuery(servers, timeoutMs);
  const cache = new NameCache({ query, nowMs });
  return (hostname) => {
    const name = hostname.toLowerCase();
    const listed = hosts.value.get(name) ?? (isLocalhost(name) ? LOOPBACK : undefined);
    return listed === undefined ? cache.resolve(name) : Promise.resolve(listed);
  };
};

const isLocalhost = (name: string): boolean => name === 'localhost' || name.endsWith('.localhost');

export type Query = (hostname: string) => Promise<NameRecord>;

const closedQuery = (servers: readonly string[], timeoutMs: number): Query => {
  const nameServers = new NameServers({ servers, timeoutMs });
  return (hostname) => nameServers.query(hostname);
};

const openQuery = (resolvConfPath: string, timeoutMs: number, nowMs: () => number): Query => {
  // Its servers are read by c-ares when it is made, so another one is made when the file has changed.
  const nameServers = new WatchedFile(resolvConfPath, () => new NameServers({ timeoutMs }), nowMs);
  const system = new SystemLookup(timeoutMs);
  return withFallback((hostname) => nameServers.value.query(hostname), (hostname) => system.query(hostname));
};

/** What only means that these name servers do not have the name, or that there are none. Where they are silent, others that ask them would wait in vain. */
const UNKNOWN_HERE: ReadonlySet<string> = new Set(['ENOTFOUND', 'ENODATA', 'ECONNREFUSED', 'EREFUSED']);

/** Asks `second` for what `first` does not know. */
export const withFallback =
  (first: Query, second: Query): Query =>
  async (hostname) => {
    try {
      return await first(hostname);
    } catch (error) {
      if (error instanceof NameFailed && UNKNOWN_HERE.has(error.code)) return second(hostname);
      throw error;
    }
  };
