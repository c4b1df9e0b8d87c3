import { spawnSync } from 'node:child_process';
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';

const root = resolve(import.meta.dirname, '..', '..');
const oxlint = join(root, 'node_modules', 'oxlint', 'bin', 'oxlint');

/** Where a file would stand, what it would import, and whether the rules of docs/design.md, "Layout", allow it. */
const imports = [
  ['apps/gateway/src/a.ts', '@posthorn/service-kit', true],
  ['apps/gateway/src/b.ts', '@posthorn/dispatcher', false],
  ['apps/gateway/src/deep/c.ts', '../../../dispatcher/src/router/router.js', false],
  ['apps/gateway/src/d.ts', '@posthorn/testkit', false],
  ['apps/gateway/src/e.spec.ts', '@posthorn/testkit', true],
  ['apps/gateway/src/f.ts', '@posthorn/kafka/dist/window.js', false],
  ['apps/gateway/test/g.test.ts', '../src/a.js', true],
  ['apps/gateway/test/h.test.ts', '../../dispatcher/src/router/router.js', false],
  ['apps/cli/src/i.ts', '@posthorn/testkit', true],
  ['apps/cli/src/j.ts', '@posthorn/gateway', false],
  ['apps/dispatcher/src/k.ts', 'kafkajs', false],
  ['libs/event-store/src/l.ts', 'kafkajs', false],
  ['libs/kafka/src/m.ts', 'kafkajs', true],
  ['libs/kafka/src/n.ts', '@posthorn/dispatcher', false],
  ['libs/egress/src/o.ts', '../../kafka/src/window.js', false],
  ['libs/egress/src/p.ts', '@posthorn/testkit', false],
  ['libs/contracts/src/q.ts', '@posthorn/domain', false],
  ['libs/domain/src/r.ts', '@posthorn/contracts', true],
  ['libs/domain/src/s.ts', '@posthorn/event-store', false],
  ['libs/domain/src/t.ts', 'node:fs', false],
  ['bench/u.ts', '@posthorn/testkit', true],
  ['bench/v.ts', 'kafkajs', false],
  ['test/e2e/w.test.ts', '@posthorn/testkit', true],
] as const;

describe('the rules of who may import whom, as the linter holds them', () => {
  let folder = '';
  let refused: ReadonlySet<string> = new Set();

  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'posthorn-rules-'));
    copyFileSync(join(root, '.oxlintrc.json'), join(folder, '.oxlintrc.json'));
    for (const [file, imported] of imports) {
      mkdirSync(dirname(join(folder, file)), { recursive: true });
      writeFileSync(join(folder, file), `import { part } from '${imported}';\nexport const whole = [part];\n`);
    }
    const { stdout } = spawnSync(process.execPath, [oxlint, '--format=unix', '.'], { cwd: folder, encoding: 'utf8' });
    const complaints = stdout.split('\n').filter((line) => line.includes('no-restricted-imports'));
    refused = new Set(complaints.map((line) => line.split(':')[0] ?? ''));
  });

  afterAll(() => {
    rmSync(folder, { recursive: true, force: true });
  });

  it.each(imports)('%s importing %s: allowed is %s', (file, _, allowed) => {
    expect(refused.has(file)).toBe(!allowed);
  });
});
