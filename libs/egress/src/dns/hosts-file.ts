import { readFileSync, statSync } from 'node:fs';
import type { LookupAddress } from 'node:dns';
import { isIP } from 'node:net';

export type Hosts = ReadonlyMap<string, readonly LookupAddress[]>;

/** Lines of an address, names and a comment; a name's addresses are those of all its lines, in their order (hosts(5)). What is no address is skipped. */
export const parseHosts = (text: string): Hosts => {
  const hosts = new Map<string, LookupAddress[]>();
  for (const line of text.split('\n')) {
    const [address = '', ...names] = line.replace(/#.*/, '').trim().split(/\s+/);
    const family = isIP(address);
    if (family === 0) continue;
    for (const name of names.map((each) => each.toLowerCase())) {
      const addresses = hosts.get(name) ?? [];
      addresses.push({ address, family });
      hosts.set(name, addresses);
    }
  }
  return hosts;
};

/** How long a file is believed to be as it was. */
const LOOK_EVERY_MS = 1_000;

/**
 * A small file that others change, parsed. It is looked at again at most once a second, and synchronously: that takes microseconds, while libuv's few threads may
 * all be waiting for something. A file that is not there counts as empty.
 */
export class WatchedFile<T> {
  private current: { readonly stamp: string; readonly value: T } | undefined = undefined;
  private lookedAtMs = -Infinity;

  constructor(
    private readonly path: string,
    private readonly parse: (text: string) => T,
    private readonly nowMs: () => number,
  ) {}

  get value(): T {
    const now = this.nowMs();
    if (this.current !== undefined && now - this.lookedAtMs < LOOK_EVERY_MS) return this.current.value;
    this.lookedAtMs = now;
    const stamp = stampOf(this.path);
    if (this.current?.stamp !== stamp) this.current = { stamp, value: this.parse(textOf(this.path)) };
    return this.current.value;
  }
}

const stampOf = (path: string): string => {
  const stat = statSync(path, { throwIfNoEntry: false });
  return stat === undefined ? '' : `${stat.mtimeMs}/${stat.size}/${stat.ino}`;
};

const textOf = (path: string): string => {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
};
