import { readFileSync } from 'node:fs';

const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as { version: string };

/** `Posthorn/<version>`, all parts of Posthorn having the same version. */
export const userAgent = `Posthorn/${version}`;
