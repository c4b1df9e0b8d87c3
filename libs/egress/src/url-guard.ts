import { isIP, isIPv4 } from 'node:net';
import { domainToUnicode } from 'node:url';
import { isPermittedAddress, type EgressPolicy } from './address-guard.js';

export type UrlRefusalCode = 'invalid_url' | 'https_required' | 'port_blocked' | 'address_blocked';
export type UrlRefusal = { readonly ok: false; readonly code: UrlRefusalCode; readonly message: string };
export type UrlVerdict = { readonly ok: true; readonly url: URL } | UrlRefusal;

export const MAX_URL_LENGTH = 2048;

/**
 * Ports on which a POST body may be taken for commands (mail, news, IRC, FTP, Redis, memcached) or which belong to remote login and DNS. Every other port is
 * open: receivers legitimately listen anywhere, and the address rules, not the port, keep private services out of reach.
 */
const BLOCKED_PORTS: ReadonlySet<number> = new Set([
  0, 20, 21, 22, 23, 25, 53, 110, 119, 143, 465, 514, 563, 587, 993, 995, 6379, 6660, 6661, 6662, 6663, 6664, 6665, 6666, 6667, 6668,
  6669, 6697, 11_211,
]);

/** White space of any alphabet, controls and backslashes: URL parsers disagree about them, so none may see them. */
const AMBIGUOUS_CHARACTER = /[\s\\\p{Cc}\p{Cf}]/u;
/** A parser would also take `https:host` and `https:///host`. The groups are the authority and the path. */
const ABSOLUTE_HTTP = /^https?:\/\/([^/?#]+)([^?#]*)/i;
const AUTHORITY = /^(\[[^[\]]*\]|[^:[\]]*)(?::(.*))?$/;
/** A parser would take none for the default one, and `0443` for 443. */
const PORT = /^(?:0|[1-9]\d{0,4})$/;
/** What a parser lets pass in a host, or turns into something else, beyond letters of any alphabet, digits, hyphens and underscores. */
const NOT_IN_A_NAME = /[^\p{L}\p{M}\p{N}._-]/u;
const MAX_NAME_LENGTH = 253;
const MAX_LABEL_LENGTH = 63;
/** `.` and `..`, as they are or percent-encoded: a parser would take them, and what stands before them, away. */
const DOT_SEGMENT = /\/(?:\.|%2e){1,2}(?=\/|$)/i;

const refuse = (code: UrlRefusalCode, message: string): UrlRefusal => ({ ok: false, code, message });

/**
 * May a subscription have this URL? Judges what can be judged without the network: the text before it is parsed, so that nothing a parser would quietly mend
 * or map is left; then the parsed scheme, port and address, in whatever notation (the parser makes `127.0.0.1` of `0x7f.1` and `2130706433`). A name
 * is judged by its addresses whenever a connection is made. Messages are fit for the API's answer.
 */
export const checkUrl = (text: string, policy: EgressPolicy): UrlVerdict => {
  if (text.length > MAX_URL_LENGTH) return refuse('invalid_url', `The URL is longer than ${MAX_URL_LENGTH} characters.`);
  if (AMBIGUOUS_CHARACTER.test(text)) return refuse('invalid_url', 'The URL contains white space, a control character or a backslash.');
  if (!text.isWellFormed()) return refuse('invalid_url', 'The URL contains half a character.');
  const [, authority, path = ''] = ABSOLUTE_HTTP.exec(text) ?? [];
  if (authority === undefined) return refuse('invalid_url', 'The URL is not an absolute http or https URL.');
  if (authority.includes('@')) return refuse('invalid_url', 'The URL contains credentials; put them into a header.');
  const [, host = '', port] = AUTHORITY.exec(authority) ?? [];
  if (port !== undefined && !PORT.test(port)) return refuse('invalid_url', 'The port is not a number from 1 to 65535, without zeros before it.');
  const fault = hostFault(host) ?? (DOT_SEGMENT.test(path) ? 'The path contains "." or ".." as a segment of its own.' : undefined);
  if (fault !== undefined) return refuse('invalid_url', fault);
  const url = URL.parse(text);
  if (url === null) return refuse('invalid_url', 'The URL cannot be parsed: its host or port is malformed.');
  return judge(url, host, policy);
};

/** A name or an IPv4 address in whatever notation, or an IPv6 address in brackets, which the parser knows best. */
const hostFault = (host: string): string | undefined => {
  if (host.startsWith('[')) return undefined;
  if (host.includes('%')) return 'The host is percent-encoded.';
  if (NOT_IN_A_NAME.test(host)) return 'The host contains a character that no host name has.';
  if (host.split('.').includes('')) return 'The host begins or ends with a dot, or has two in a row.';
  return undefined;
};

const judge = (url: URL, host: string, policy: EgressPolicy): UrlVerdict => {
  if (url.protocol !== 'https:' && !policy.allowHttp) return refuse('https_required', 'The URL must begin with https://.');
  if (url.port !== '' && BLOCKED_PORTS.has(Number(url.port))) {
    return refuse('port_blocked', `Port ${url.port} is not one that webhooks are sent to.`);
  }
  const literal = url.hostname.replace(/^\[|\]$/g, '');
  if (isIP(literal) === 0) {
    const fault = nameFault(url.hostname, host);
    return fault === undefined ? { ok: true, url } : refuse('invalid_url', fault);
  }
  if (!isPermittedAddress(literal, policy)) return refuse('address_blocked', `${literal} is not a public address.`);
  if (isIPv4(literal) && literal !== host) return refuse('invalid_url', 'An IPv4 address is written as four decimal numbers without zeros before them.');
  return { ok: true, url };
};

/** What has to be mapped (full-width letters, `ⓔ`) is a name that reads otherwise than it is. Lower case is the one mapping that is let through. */
const nameFault = (name: string, written: string): string | undefined => {
  const labels = name.split('.');
  if (name.length > MAX_NAME_LENGTH || labels.some((label) => label.length > MAX_LABEL_LENGTH)) {
    return `The host is longer than ${MAX_NAME_LENGTH} characters, or a part of it than ${MAX_LABEL_LENGTH}.`;
  }
  const isItself = written.split('.').every((label, at) => means(labels[at] ?? '', label));
  return isItself ? undefined : 'The host contains characters that stand for others.';
};

const NOT_ASCII = /[^\0-\x7f]/;

/** Of a name that is not ASCII something else than ASCII has to be left: the Kelvin sign is a k in lower case. */
const means = (label: string, written: string): boolean => {
  const lower = written.toLowerCase().normalize('NFC');
  return label === lower ? !NOT_ASCII.test(written) : NOT_ASCII.test(lower) && domainToUnicode(label) === lower;
};
