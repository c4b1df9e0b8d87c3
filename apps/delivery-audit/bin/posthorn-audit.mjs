#!/usr/bin/env node
import { existsSync } from 'node:fs';

const main = new URL('../dist/commands/main.js', import.meta.url);
if (existsSync(main)) await import(main.href);
else {
  process.stderr.write('posthorn-audit: the audit is not built; `npm run build` does it\n');
  process.exitCode = 2;
}
