import { lookup, type LookupAddress } from 'node:dns';
import { NameFailed, type NameRecord } from '../resolve.js';

/** Half of libuv's threads: the rest stays for the files and zlib of everybody else. */
const AT_A_TIME = 2;
/** getaddrinfo tells no TTL. */
const TTL_SECONDS = 5;

export type Lookup = (hostname: string, callback: (error: NodeJS.ErrnoException | null, addresses: LookupAddress[]) => void) => void;

const getaddrinfo: Lookup = (hostname, callback) => lookup(hostname, { all: true, order: 'ipv4first' }, callback);

/**
 * The operating system's answer: search domains, multicast DNS, the names of containers, whatever the machine is set up for. A call that hangs keeps
 * its thread, and nobody can take it back, so only two are made at a time; who has not come to his turn by the time limit has no answer.
 */
export class SystemLookup {
  private free = AT_A_TIME;
  private readonly waiting = new Set<() => void>();

  constructor(
    private readonly timeoutMs: number,
    private readonly lookup: Lookup = getaddrinfo,
  ) {}

  /** Rejects with a `NameFailed`. */
  query(hostname: string): Promise<NameRecord> {
    return new Promise((resolve, reject) => {
      const call = (): void => {
        this.free--;
        this.lookup(hostname, (error, addresses) => {
          clearTimeout(timer);
          if (error === null) resolve({ addresses, ttlSeconds: TTL_SECONDS });
          else reject(new NameFailed(error.code ?? 'ENOTFOUND', { cause: error }));
          this.free++;
          this.next();
        });
      };
      const timer = setTimeout(() => {
        this.waiting.delete(call);
        reject(new NameFailed('ETIMEOUT'));
      }, this.timeoutMs);
      this.waiting.add(call);
      this.next();
    });
  }

  private next(): void {
    const [call] = this.waiting;
    if (call === undefined || this.free === 0) return;
    this.waiting.delete(call);
    call();
  }
}
