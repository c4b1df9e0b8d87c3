import { createHash } from 'node:crypto';
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { capture } from './processes.mjs';
import { step } from './progress.mjs';

const fingerprint = (root) =>
  createHash('sha256')
    .update(`${process.platform} ${process.arch}\n`)
    .update(readFileSync(join(root, 'package-lock.json')))
    .digest('hex');

const json = (file) => JSON.parse(readFileSync(file, 'utf8'));

const same = (a, b) => a !== undefined && b !== undefined && a.version === b.version && a.integrity === b.integrity;

/** Whether npm's own record of what it installed says the same as the lock, for those who have run `npm ci` themselves. */
const agrees = (root) => {
  const record = join(root, 'node_modules', '.package-lock.json');
  if (!existsSync(record)) return false;
  const locked = json(join(root, 'package-lock.json')).packages;
  const installed = json(record).packages;
  return (
    Object.entries(installed).every(([path, entry]) => same(entry, locked[path])) &&
    // What is locked and absent must be what npm leaves out: another platform's, or an unmet optional peer.
    Object.entries(locked).every(([path, entry]) => installed[path] !== undefined || entry.optional || entry.peer || !path.includes('node_modules/'))
  );
};

/** The npm that called us, by its script, so that another one in PATH is not asked; else the one in PATH. */
const npm = () => {
  const script = process.env.npm_execpath;
  return script?.endsWith('.js') ? [process.execPath, [script]] : ['npm', []];
};

/** Makes node_modules that of package-lock.json, if it is not already. */
export const install = async (root) => {
  const stamp = join(root, 'node_modules', '.posthorn-stamp');
  const wanted = fingerprint(root);
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === wanted) return;
  if (!agrees(root)) {
    await step('Installing dependencies (npm ci)', async () => {
      // Whatever comes of it, what is there from now on is no longer what the stamp says.
      rmSync(stamp, { force: true });
      const [command, args] = npm();
      const env = { ...process.env, npm_config_loglevel: 'error', PATH: `${dirname(process.execPath)}:${process.env.PATH}` };
      const { status, output } = await capture(command, [...args, 'ci', '--no-audit', '--no-fund'], { cwd: root, env });
      if (status !== 0) throw new Error(`npm ci failed:\n${output.trim()}`);
    });
  }
  writeFileSync(stamp, wanted);
};
