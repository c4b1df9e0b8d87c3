import { Resolver, type LookupAddress, type RecordWithTtl } from 'node:dns';
import { NameFailed, type NameRecord } from '../resolve.js';

export type NameServersOptions = {
  /** `host:port` or `host` each; default: those of `/etc/resolv.conf`. */
  readonly servers?: readonly string[] | undefined;
  /** For all addresses of a name together. Default 4000. */
  readonly timeoutMs?: number | undefined;
};

/** Of one transmission; later ones wait longer. Two of them fit into the limit. */
const FIRST_TRY_MS = 1_500;
const TRIES = 2;
const DEFAULT_TIMEOUT_MS = 4_000;
/** Once the addresses of one family are there, the other's get so long: servers that never answer a query for AAAA are not rare. */
const OTHER_FAMILY_MS = 500;
/** All of them are judged, for every connection, and remembered. */
const MAX_ADDRESSES = 64;

type Answer = { readonly records: readonly (LookupAddress & { readonly ttl: number })[] } | { readonly code: string };

/**
 * Asks name servers for the addresses of a name, without a thread: c-ares waits for any number of answers at once, so that a name whose servers are silent delays
 * no other, as it would with the four threads that getaddrinfo runs on. IPv4 comes first: a machine without a route for IPv6 is the more common one.
 */
export class NameServers {
  private readonly resolver: Resolver;
  private readonly timeoutMs: number;

  constructor({ servers, timeoutMs = DEFAULT_TIMEOUT_MS }: NameServersOptions = {}) {
    this.timeoutMs = timeoutMs;
    this.resolver = new Resolver({ timeout: Math.min(FIRST_TRY_MS, timeoutMs), tries: TRIES });
    if (servers !== undefined) this.resolver.setServers(servers);
  }

  /** Rejects with a `NameFailed`. */
  query(hostname: string): Promise<NameRecord> {
    return new Promise((resolve, reject) => {
      const answers: [Answer?, Answer?] = [];
      let timer = setTimeout(() => end(), this.timeoutMs);
      const end = (): void => {
        clearTimeout(timer);
        const record = recordOf(answers);
        if ('code' in record) reject(new NameFailed(record.code));
        else resolve(record);
      };
      const take = (at: 0 | 1, answer: Answer): void => {
        answers[at] = answer;
        if (answers[0] !== undefined && answers[1] !== undefined) {
          end();
        } else if ('records' in answer) {
          clearTimeout(timer);
          timer = setTimeout(end, Math.min(OTHER_FAMILY_MS, this.timeoutMs));
        }
      };
      this.resolver.resolve4(hostname, { ttl: true }, (error, records) => take(0, answerOf(error, records, 4)));
      this.resolver.resolve6(hostname, { ttl: true }, (error, records) => take(1, answerOf(error, records, 6)));
    });
  }
}

const answerOf = (error: NodeJS.ErrnoException | null, records: readonly RecordWithTtl[], family: 4 | 6): Answer =>
  error === null ? { records: records.map(({ address, ttl }) => ({ address, family, ttl })) } : { code: error.code ?? 'ESERVFAIL' };

/** Addresses if there are any; else why not: a failure says more than that one family has no address. */
const recordOf = (answers: readonly (Answer | undefined)[]): NameRecord | { readonly code: string } => {
  const records = answers.flatMap((answer) => (answer !== undefined && 'records' in answer ? answer.records : []));
  if (records.length > MAX_ADDRESSES) return { code: 'ETOOMANY' };
  if (records.length > 0) {
    return { addresses: records.map(({ address, family }) => ({ address, family })), ttlSeconds: Math.min(...records.map(({ ttl }) => ttl)) };
  }
  const codes = [0, 1].map((at) => {
    const answer = answers[at];
    return answer === undefined ? 'ETIMEOUT' : 'code' in answer ? answer.code : 'ENODATA';
  });
  return { code: codes.find((code) => code !== 'ENODATA' && code !== 'ENOTFOUND') ?? (codes.includes('ENODATA') ? 'ENODATA' : 'ENOTFOUND') };
};
