import { lookup, type LookupAddress } from 'node:dns';

/** All addresses of a name, in the order they are to be tried. Rejects when it has none. */
export type Resolve = (hostname: string) => Promise<readonly LookupAddress[]>;

/** The operating system's answer: `/etc/hosts`, search domains and all, as every other program on the machine sees it. */
export const resolveBySystem: Resolve = (hostname) =>
  new Promise((resolve, reject) => {
    lookup(hostname, { all: true, order: 'verbatim' }, (error, addresses) => (error ? reject(error) : resolve(addresses)));
  });
