// Makes what the repository does not hold, because it follows from what it holds: code from the proto files.
import { resolve } from 'node:path';
import { generate } from './lib/generate.mjs';

try {
  await generate(resolve(import.meta.dirname, '..'));
} catch (error) {
  process.stderr.write(`${error.message}\n`);
  process.exitCode = 1;
}
