import { execFile, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { posthornDir, type Received } from '@posthorn/testkit';

/** A receiver in another language, with a library that has nothing to do with ours. */
export type Verifier = {
  readonly name: string;
  /** Whether it can verify `v1a` with a `whpk_…`, too. */
  readonly knowsV1a: boolean;
  /** `valid`, or why not: one verdict for each request and the secret or public key that its receiver has. */
  verify(requests: readonly (readonly [Received, string])[]): Promise<readonly string[]>;
};

const sources = join(import.meta.dirname, 'verifiers');
const FETCH_TIMEOUT_MS = 180_000;
const PYTHON_LIBRARY = 'standardwebhooks==1.1.0';

const run = async (command: string, args: readonly string[], options: { readonly cwd?: string } = {}): Promise<string> =>
  (await promisify(execFile)(command, args, { timeout: FETCH_TIMEOUT_MS, ...options })).stdout;

/** A folder that is made once of what is written in `of`, aside and renamed, so that it is whole or not there. */
const madeOnce = async (name: string, of: readonly string[], make: (folder: string) => Promise<unknown>): Promise<string> => {
  const hash = createHash('sha256');
  for (const text of of) hash.update(text);
  const folder = join(posthornDir, 'verifiers', `${name}-${hash.digest('hex').slice(0, 12)}`);
  if (existsSync(folder)) return folder;
  const draft = `${folder}.${process.pid}`;
  try {
    mkdirSync(draft, { recursive: true });
    await make(draft);
    if (!existsSync(folder)) renameSync(draft, folder);
    return folder;
  } finally {
    rmSync(draft, { recursive: true, force: true });
  }
};

const fieldsOf = ([{ headers, body }, secret]: readonly [Received, string]): string =>
  [secret, ...['webhook-id', 'webhook-timestamp', 'webhook-signature'].map((name) => String(headers[name])), body]
    .map((field) => Buffer.from(field).toString('base64'))
    .join(' ');

const verifier = (name: string, { knowsV1a }: Pick<Verifier, 'knowsV1a'>, command: string, args: readonly string[], env: NodeJS.ProcessEnv = {}): Verifier => ({
  name,
  knowsV1a,
  verify: async (requests) => {
    const child = spawn(command, args, { stdio: ['pipe', 'pipe', 'pipe'], env: { ...process.env, ...env } });
    let verdicts = '';
    let complaints = '';
    child.stdout.on('data', (chunk: Buffer) => (verdicts += chunk.toString()));
    child.stderr.on('data', (chunk: Buffer) => (complaints += chunk.toString()));
    child.stdin.end(requests.map((request) => `${fieldsOf(request)}\n`).join(''));
    await once(child, 'close');
    const lines = verdicts.split('\n').slice(0, -1);
    if (lines.length !== requests.length) throw new Error(`${name} gave ${lines.length} verdicts on ${requests.length} requests: ${complaints}`);
    return lines;
  },
});

const java = async (): Promise<Verifier> => {
  if (!(await run('java', ['--list-modules'])).includes('jdk.compiler')) throw new Error('java is there without its compiler');
  const pom = join(sources, 'pom.xml');
  const jars = await madeOnce('java', [readFileSync(pom, 'utf8')], (folder) => run('mvn', ['-q', '-B', '-f', pom, 'dependency:copy-dependencies', `-DoutputDirectory=${folder}`]));
  return verifier('Java', { knowsV1a: true }, 'java', ['-XX:TieredStopAtLevel=1', '-cp', join(jars, '*'), join(sources, 'Verify.java')]);
};

const python = async (): Promise<Verifier> => {
  const packages = await madeOnce('python', [PYTHON_LIBRARY], (folder) => run('python3', ['-m', 'pip', 'install', '--quiet', '--no-deps', '--target', folder, PYTHON_LIBRARY]));
  return verifier('Python', { knowsV1a: false }, 'python3', [join(sources, 'verify.py')], { PYTHONPATH: packages, PYTHONDONTWRITEBYTECODE: '1' });
};

const go = async (): Promise<Verifier> => {
  const cwd = join(sources, 'go');
  const program = ['main.go', 'go.sum'].map((file) => readFileSync(join(cwd, file), 'utf8'));
  const folder = await madeOnce('go', program, (draft) => run('go', ['build', '-buildvcs=false', '-o', join(draft, 'verify'), '.'], { cwd }));
  return verifier('Go', { knowsV1a: true }, join(folder, 'verify'), []);
};

/** Those that this machine can run; what they need is fetched the first time. Why another cannot be run is told instead. */
export const findVerifiers = async (): Promise<{ readonly found: readonly Verifier[]; readonly missing: readonly string[] }> => {
  const found: Verifier[] = [];
  const missing: string[] = [];
  for (const [language, prepare] of [['Java', java], ['Python', python], ['Go', go]] as const) {
    try {
      found.push(await prepare());
    } catch (error) {
      missing.push(`${language}: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
  return { found, missing };
};
