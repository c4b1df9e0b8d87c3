import { BlockList, isIP } from 'node:net';
import { EgressError } from './errors.js';

/** Where Posthorn may send to. One policy per process, from `POSTHORN_EGRESS_ALLOW_HTTP` and `POSTHORN_EGRESS_ALLOW_CIDRS`. */
export type EgressPolicy = {
  readonly allowHttp: boolean;
  /** Addresses permitted although they are not public; made by `parseCidrs`. */
  readonly allowedAddresses: BlockList;
};

export type UrlRefusalCode = 'invalid_url' | 'https_required' | 'port_blocked' | 'address_blocked';
export type UrlRefusal = { readonly ok: false; readonly code: UrlRefusalCode; readonly message: string };
export type UrlVerdict = { readonly ok: true; readonly url: URL } | UrlRefusal;

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

/** The IANA IPv4 Special-Purpose Address Registry (RFC 6890 and successors), multicast and the former class E: nobody's webhook endpoint. */
const specialIpv4 = parseCidrs(`
  0.0.0.0/8, 10.0.0.0/8, 100.64.0.0/10, 127.0.0.0/8, 169.254.0.0/16, 172.16.0.0/12, 192.0.0.0/24, 192.0.2.0/24, 192.31.196.0/24,
  192.52.193.0/24, 192.88.99.0/24, 192.168.0.0/16, 192.175.48.0/24, 198.18.0.0/15, 198.51.100.0/24, 203.0.113.0/24, 224.0.0.0/4, 240.0.0.0/4`);

/**
 * The space IPv6 global unicast addresses are given out from. Everything with an IPv4 address inside that reaches it by translation
 * (mapped `::ffff:0:0/96`, compatible `::/96`, NAT64 `64:ff9b::/96`), unique local and link-local lie outside.
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
    : globalIpv6.check(address, family) && !specialIpv6.check(address, family);
};

/**
 * Ports on which a POST body may be taken for commands (mail, news, IRC, FTP, Redis, memcached) or which belong to remote login and DNS. Every other port is
 * open: receivers legitimately listen anywhere, and the address rules, not the port, keep private services out of reach.
 */
const BLOCKED_PORTS: ReadonlySet<number> = new Set([
  0, 20, 21, 22, 23, 25, 53, 110, 119, 143, 465, 514, 563, 587, 993, 995, 6379, 6660, 6661, 6662, 6663, 6664, 6665, 6666, 6667, 6668,
  6669, 6697, 11_211,
]);

export const MAX_URL_LENGTH = 2048;
/** White space of any alphabet, controls and backslashes: URL parsers disagree about them, so none may see them. */
const AMBIGUOUS_CHARACTER = /[\s\\\p{Cc}\p{Cf}]/u;
/** A parser would also take `https:host` and `https:///host`. */
const ABSOLUTE_HTTP = /^https?:\/\/([^/?#]+)/i;

const refuse = (code: UrlRefusalCode, message: string): UrlRefusal => ({ ok: false, code, message });

/**
 * May a subscription have this URL? Judges what can be judged without the network: the text before it is parsed, then the parsed scheme,
 * port and literal address (in whatever notation: the parser has normalised `0x7f.1` and `2130706433` to `127.0.0.1`). A name is
 * judged by its addresses whenever a connection is made. Messages are fit for the API's answer.
 */
export const checkUrl = (text: string, policy: EgressPolicy): UrlVerdict => {
  if (text.length > MAX_URL_LENGTH) return refuse('invalid_url', `The URL is longer than ${MAX_URL_LENGTH} characters.`);
  if (AMBIGUOUS_CHARACTER.test(text)) return refuse('invalid_url', 'The URL contains white space, a control character or a backslash.');
  const authority = ABSOLUTE_HTTP.exec(text)?.[1];
  if (authority === undefined) return refuse('invalid_url', 'The URL is not an absolute http or https URL.');
  if (authority.includes('@')) return refuse('invalid_url', 'The URL contains credentials; put them into a header.');
  const url = URL.parse(text);
  if (url === null) return refuse('invalid_url', 'The URL cannot be parsed: its host or port is malformed.');
  if (url.protocol !== 'https:' && !policy.allowHttp) return refuse('https_required', 'The URL must begin with https://.');
  if (url.port !== '' && BLOCKED_PORTS.has(Number(url.port))) {
    return refuse('port_blocked', `Port ${url.port} is not one that webhooks are sent to.`);
  }
  const host = url.hostname.replace(/^\[|\]$/g, '');
  if (isIP(host) !== 0 && !isPermittedAddress(host, policy)) {
    return refuse('address_blocked', `${host} is not a public address.`);
  }
  return { ok: true, url };
};
