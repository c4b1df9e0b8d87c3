import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { capture } from './processes.mjs';
import { step } from './progress.mjs';

const PROTO = 'libs/contracts/proto';
const OUT = 'libs/contracts/src/generated';

/** Everything that the outcome depends on. The tools count by their version: they change with the lock alone. */
const fingerprint = (root) => {
  const hash = createHash('sha256');
  const files = readdirSync(join(root, PROTO), { recursive: true }).filter((file) => /\.(?:proto|yaml)$/.test(file));
  for (const file of files.toSorted()) hash.update(`${file}\n`).update(readFileSync(join(root, PROTO, file)));
  for (const tool of ['@bufbuild/buf', 'ts-proto']) hash.update(JSON.parse(readFileSync(join(root, 'node_modules', tool, 'package.json'), 'utf8')).version);
  return hash.digest('hex');
};

const buf = async (root, args) => {
  const env = { ...process.env, PATH: `${dirname(process.execPath)}:${process.env.PATH}` };
  const { status, output } = await capture(process.execPath, [join(root, 'node_modules', '@bufbuild', 'buf', 'bin', 'buf'), ...args], { cwd: root, env });
  if (status !== 0) throw new Error(`buf ${args[0]} failed:\n${output.trim()}`);
};

/** What a gRPC server tells of itself by reflection, as a module: it then needs no file beside the code, wherever that is installed. */
const writeDescriptors = (root, set) => {
  const text = readFileSync(set).toString('base64');
  rmSync(set);
  writeFileSync(
    join(root, OUT, 'descriptors.ts'),
    `/** A google.protobuf.FileDescriptorSet of all our proto files and what they import. */\nexport const descriptorSet: Uint8Array = Buffer.from(\n  '${text}',\n  'base64',\n);\n`,
  );
};

/** TypeScript from the proto files, offline, unless it is there already. */
export const generate = async (root) => {
  const stamp = join(root, OUT, '.stamp');
  const wanted = fingerprint(root);
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === wanted) return;
  await step('Generating code from the proto files', async () => {
    mkdirSync(join(root, OUT), { recursive: true });
    await buf(root, ['generate', '--template', `${PROTO}/buf.gen.yaml`]);
    const set = join(root, OUT, 'descriptors.binpb');
    await buf(root, ['build', PROTO, '--as-file-descriptor-set', '--exclude-source-info', '-o', set]);
    writeDescriptors(root, set);
    writeFileSync(stamp, wanted);
  });
};
