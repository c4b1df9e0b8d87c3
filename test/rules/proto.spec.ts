import { execFileSync } from 'node:child_process';
import { join, resolve } from 'node:path';
import { expect, it } from '@jest/globals';

const root = resolve(import.meta.dirname, '..', '..');

it('the proto files keep the rules of buf', () => {
  const buf = join(root, 'node_modules', '@bufbuild', 'buf', 'bin', 'buf');
  const lint = (): string => execFileSync(process.execPath, [buf, 'lint', 'libs/contracts/proto'], { cwd: root, encoding: 'utf8' });
  expect(lint()).toBe('');
});
