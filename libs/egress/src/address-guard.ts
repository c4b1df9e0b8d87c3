import { BlockList, isIP } from 'node:net';
import { EgressError } from './errors.js';

/** Where Posthorn may send to. One policy per process, from `POSTHORN_EGRESS_ALLOW_HTTP` and `POSTHORN_EGRESS_ALLOW_CIDRS`. */
export type EgressPolicy = {
  readonly allowHttp: boolean;
  /** Addresses permitted although they are not public; made by `parseCidrs`. */
  readonly allowedAddresses: BlockList;
};

/** `127.0.0.0/8,::1/128`, or single addresses; empty means none. Fit for a configuration value. @throws {EgressError} invalid_cidr */
export const parseCidrs = (text: string): BlockList => {
  const list = new BlockList();
  for (const entry of text.split(',').map((part) => part.trim())) {
    if (entry !== '') addCidr(list, entry);
  }
  return list;
};

const addCidr = (list: BlockList, entry: string): void => {
  const [address = '', prefix, ...rest] = entry.split('/');
  const family = familyOf(address);
  const bits = family === 'ipv4' ? 32 : 128;
  const length = prefix === undefined ? bits : Number(prefix);
  if (family === undefined || rest.length > 0) {
    throw new EgressError('invalid_cidr', `"${entry}" is not an address range like 10.0.0.0/8 or fd00::/8.`);
  }
  if (prefix !== undefined && (!/^\d{1,3}$/.test(prefix) || length > bits)) {
    throw new EgressError('invalid_cidr', `"${entry}" is not an address range: its prefix length must be from 0 to ${bits}.`);
  }
  list.addSubnet(address, length, family);
};

/** A zone index (`fe80::1%eth0`) makes an address link-local and none of ours. */
const familyOf = (address: string): 'ipv4' | 'ipv6' | undefined => {
  if (address.includes('%')) return undefined;
  const version = isIP(address);
  return version === 4 ? 'ipv4' : version === 6 ? 'ipv6' : undefined;
};

/**
 * The IANA IPv4 Special-Purpose Address Registry (RFC 6890 and successors, as of 2026), multicast and the former class E: nobody's webhook endpoint. Also those
 * entries that are globally reachable (AS112, AMT, the anycast addresses in `192.0.0.0/24`): they belong to protocols.
 */
const specialIpv4 = parseCidrs(`
  0.0.0.0/8, 10.0.0.0/8, 100.64.0.0/10, 127.0.0.0/8, 169.254.0.0/16, 172.16.0.0/12, 192.0.0.0/24, 192.0.2.0/24, 192.31.196.0/24,
  192.52.193.0/24, 192.88.99.0/24, 192.168.0.0/16, 192.175.48.0/24, 198.18.0.0/15, 198.51.100.0/24, 203.0.113.0/24, 224.0.0.0/4, 240.0.0.0/4`);

/**
 * The space IPv6 global unicast addresses are given out from. Everything with an IPv4 address inside that reaches it by translation
 * (mapped `::ffff:0:0/96`, compatible `::/96`, NAT64 `64:ff9b::/96` and `64:ff9b:1::/48`), discard-only and dummy `100::/32`, SRv6 `5f00::/16`, unique local and
 * link-local lie outside. A NAT64 under a prefix of its operator's own cannot be told from any other address.
 */
const globalIpv6 = parseCidrs('2000::/3');

/**
 * What the IANA IPv6 Special-Purpose Address Registry takes out of it: `2001::/23` holds Teredo, benchmarking, AMT, ORCHID (both) and DRIP;
 * `2002::/16` is 6to4; two documentation ranges; AS112. Teredo and 6to4 are refused whole, whatever IPv4 address they carry.
 */
const specialIpv6 = parseCidrs('2001::/23, 2001:db8::/32, 2002::/16, 2620:4f:8000::/48, 3fff::/20');

/** True for a public address and for one that the policy allows explicitly. The address is a literal without brackets. */
export const isPermittedAddress = (address: string, policy: EgressPolicy): boolean => {
  const family = familyOf(address);
  if (family === undefined) return false;
  if (policy.allowedAddresses.check(address, family)) return true;
  return family === 'ipv4'
    ? !specialIpv4.check(address, family)
    : globalIpv6.check(address, family) && !specialIpv6.check(address, family) && !isIsatap(address);
};

/** The last four groups of an IPv6 address as the URL standard writes it: `0:5efe` or `200:5efe`, and then 32 bits; zeros may be run together. */
const ISATAP = /(?:(?:^|:)(?:0|200):|::)5efe:(?:[0-9a-f]{1,4}:[0-9a-f]{1,4}|:)$/;

/** RFC 5214: an interface identifier that carries the IPv4 address a packet is tunnelled to, under whatever prefix a site has. */
const isIsatap = (address: string): boolean => ISATAP.test(URL.parse(`http://[${address}]`)?.hostname.slice(1, -1) ?? '');
