import type { LookupAddress, LookupOptions } from 'node:dns';
import { isIP } from 'node:net';
import type { ConnectionOptions } from 'node:tls';
import { buildConnector } from 'undici';
import { isPermittedAddress, type EgressPolicy } from './address-guard.js';
import type { Connector } from './connections.js';
import { AttemptFailed, codeOf } from './failure.js';
import type { Resolve } from './resolve.js';

export type ConnectorOptions = {
  readonly policy: EgressPolicy;
  readonly resolve: Resolve;
  readonly connectTimeoutMs: number;
  readonly tls?: Pick<ConnectionOptions, 'ca' | 'secureContext'> | undefined;
};

type LookupCallback = (error: Error | null, address: string | LookupAddress[], family?: number) => void;

/** Of several addresses, how long one may take before the next is tried beside it (RFC 8305 advises 250 ms; far hosts need more). */
const NEXT_ADDRESS_AFTER_MS = 1_000;

const TRIED_PER_FAMILY = 2;

/** A subscriber must not learn from this what a name of our network resolves to. */
const blockedName = (hostname: string) =>
  new AttemptFailed({ code: 'address_blocked', message: `${hostname} resolves to an address that is not public.` });

const blockedAddress = (address: string) =>
  new AttemptFailed({ code: 'address_blocked', message: `${address} is not a public address.` });

/**
 * Opens connections to permitted addresses only. A literal is judged before the socket exists (Node never looks literals up). A name is
 * resolved once per connection and the socket gets exactly the addresses judged, so a second, different answer (DNS rebinding) finds no
 * one asking. One refused address refuses the name: an honest name has none, and connecting to "the good ones" of a mixed answer would make the
 * outcome a matter of their order. The peer is compared again once connected, should anything in between have rewritten it.
 */
export const guardedConnector = ({ policy, resolve, connectTimeoutMs, tls }: ConnectorOptions): Connector => {
  const permittedAddresses = async (hostname: string): Promise<readonly LookupAddress[]> => {
    let addresses: readonly LookupAddress[];
    try {
      addresses = await resolve(hostname);
    } catch (cause) {
      throw new AttemptFailed({ code: 'dns_failed', message: `${hostname} cannot be resolved${dnsReason(cause)}.` }, { cause });
    }
    if (addresses.length === 0) throw new AttemptFailed({ code: 'dns_failed', message: `${hostname} has no address.` });
    if (!addresses.every(({ address }) => isPermittedAddress(address, policy))) throw blockedName(hostname);
    return tried(addresses);
  };

  // It returns the socket, which its type does not say.
  const connect = buildConnector({
    ...tls,
    allowH2: false,
    timeout: connectTimeoutMs,
    autoSelectFamily: true,
    autoSelectFamilyAttemptTimeout: NEXT_ADDRESS_AFTER_MS,
    lookup: (hostname: string, { all }: LookupOptions, callback: LookupCallback) => {
      permittedAddresses(hostname).then(
        // Out of the promise's reach: what the socket throws in here is not a failed lookup.
        (addresses) => process.nextTick(answer, all === true, addresses, callback),
        (error: Error) => process.nextTick(callback, error, ''),
      );
    },
  }) as Connector;

  return (options, callback) => {
    const { hostname } = options;
    if (isIP(hostname) !== 0 && !isPermittedAddress(hostname, policy)) {
      callback(blockedAddress(hostname), null);
      return undefined;
    }
    return connect(options, (...[error, socket]) => {
      if (error !== null) {
        callback(error, null);
      } else if (isPermittedAddress(socket.remoteAddress ?? '', policy)) {
        callback(null, socket);
      } else {
        socket.destroy();
        callback(blockedName(hostname), null);
      }
    });
  };
};

/** The first ones of each family: a name with hundreds of addresses would make us knock at the doors of as many strangers. */
const tried = (addresses: readonly LookupAddress[]): readonly LookupAddress[] =>
  addresses.length <= TRIED_PER_FAMILY
    ? addresses
    : [4, 6].flatMap((family) => addresses.filter((each) => each.family === family).slice(0, TRIED_PER_FAMILY));

const answer = (all: boolean, addresses: readonly LookupAddress[], callback: LookupCallback): void => {
  const [first] = addresses;
  if (all || first === undefined) callback(null, [...addresses]);
  else callback(null, first.address, first.family);
};

const DNS_REASONS: Readonly<Record<string, string>> = {
  ENOTFOUND: ': there is no such name',
  ENODATA: ': it has no address',
  EAI_AGAIN: ': the name servers do not answer',
  ETIMEOUT: ': the name servers do not answer',
  ESERVFAIL: ': its name servers report a failure',
  ETOOMANY: ': it has more addresses than any honest name',
};

const dnsReason = (error: unknown): string => {
  const code = codeOf(error);
  return DNS_REASONS[code] ?? (code === '' ? '' : ` (${code})`);
};
