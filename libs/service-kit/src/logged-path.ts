/**
 * What we hand out that lets somebody in or signs for somebody: API keys, signing secrets (whose base64 may hold slashes), and portal
 * tokens, which are JWTs in their compact form (RFC 7515, 3.1). Pasted into an address line, a `_`, `.` or `/` may be escaped.
 * A JWT's header, which is short, is bounded so that nobody makes us search for one at length.
 */
const SECRETS = [/phk(?:_|%5f)[^/]*/gi, /whs(?:ec|k)(?:_|%5f).*/gi, /eyJ[\w-]{1,512}(?:(?:\.|%2e)[\w-]*){2,4}/gi];

/** Of a request's URL what may stand in a log line: no query, which may hold anything, and nothing that looks like a secret of ours. */
export const loggedPath = (url: string): string => SECRETS.reduce((path, secret) => path.replaceAll(secret, '[redacted]'), pathOf(url));

/** Without its query. */
export const pathOf = (url: string): string => url.split('?', 1)[0] ?? url;
