import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join, relative, resolve } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { attemptErrorCode, problemCodes, rejectionCode, topicTable } from '@posthorn/contracts';
import { configurationTable, type DescribedService } from '@posthorn/service-kit';

const root = resolve(import.meta.dirname, '..', '..');

/** With it, the pages are written instead of compared. */
const isWriting = process.env['POSTHORN_WRITE_DOCS'] === '1';

const SERVICES = ['gateway', 'subscription-registry', 'event-ingestion', 'dispatcher', 'delivery-audit'];

/** What a service says of itself: its schema is loaded, not imported, because nobody's code may depend on an app's. */
const described = async (name: string): Promise<DescribedService> => {
  const source = join(root, 'apps', name, 'src');
  const exported = (await import(join(source, 'config.ts'))) as Readonly<Record<string, unknown>>;
  const config = Object.entries(exported).find(([key]) => key.endsWith('Config'))?.[1] as DescribedService['config'];
  const main = readFileSync(join(source, 'main.ts'), 'utf8');
  const defaultPort = Number(/defaultPort: (\d+)/.exec(main)?.[1]);
  const [, grpcPort] = /grpc: \{ defaultPort: (\d+)/.exec(main) ?? [];
  return { name, config, defaultPort, defaultGrpcPort: grpcPort === undefined ? undefined : Number(grpcPort) };
};

const topicsPage = (): string => `# Topics

Made from the catalogue in \`libs/contracts/src/topics.ts\`. On the broker a topic is called \`<prefix>.<name>.v1\`, the prefix being
\`POSTHORN_TOPIC_PREFIX\` (\`posthorn\`). The services create the topics that are missing when they start; of one that exists with fewer partitions
or another configuration they only warn. Records are those of \`libs/contracts/src/records.ts\`, their form is told in
[design.md](design.md#records-on-the-wire).

${topicTable()}`;

const configurationPage = async (): Promise<string> => `# Configuration

Every setting is an environment variable, read once at start. A service with a wrong or missing one prints every error at once and
ends with status 1; values never appear in these messages. A variable that is empty counts as not set. Made from the
services' own schemas (\`apps/*/src/config.ts\`, \`libs/service-kit/src/config.ts\`).

${configurationTable(await Promise.all(SERVICES.map(described)))}`;

const pages = [
  ['topics.md', topicsPage],
  ['configuration.md', configurationPage],
] as const;

describe('the pages that are made from the code', () => {
  it.each(pages)('docs/%s is current (POSTHORN_WRITE_DOCS=1 npm test -- --only unit documents makes it so)', async (name, make) => {
    const file = join(root, 'docs', name);
    const page = await make();
    if (isWriting) writeFileSync(file, page);
    expect(readFileSync(file, 'utf8')).toBe(page);
  });
});

const sourcesBelow = (dir: string): readonly string[] =>
  readdirSync(dir, { recursive: true, encoding: 'utf8' })
    .filter((file) => /(?<!\.spec|\.d)\.ts$/.test(file) && file.includes('src/') && !/node_modules|dist\//.test(file))
    .map((file) => readFileSync(join(dir, file), 'utf8'));

/** Names of metrics as they stand in the sources, between quotes. */
const metricsInCode = (): ReadonlySet<string> =>
  new Set(
    [...sourcesBelow(join(root, 'apps')), ...sourcesBelow(join(root, 'libs'))].flatMap((text) =>
      [...text.matchAll(/'(posthorn_[a-z_]+)'/g)].map(([, name = '']) => name),
    ),
  );

describe('docs/api.md', () => {
  const page = readFileSync(join(root, 'docs', 'api.md'), 'utf8');

  it('tells every problem code with its status', () => {
    for (const [code, status] of Object.entries(problemCodes)) expect(page).toContain(`| \`${code}\` | ${status} |`);
  });

  it('tells every code of a rejection and of a failed attempt', () => {
    for (const code of [...rejectionCode.options, ...attemptErrorCode.options]) expect(page).toContain(`\`${code}\``);
  });

  it('tells every metric there is, and none that there is not', () => {
    const told = [...page.matchAll(/^\| `(posthorn_[a-z_]+)/gm)].map(([, name]) => name);
    expect(told.toSorted()).toEqual([...metricsInCode()].sort());
  });
});

const markdownBelow = (dir: string): readonly string[] =>
  readdirSync(dir, { withFileTypes: true }).flatMap((entry) => {
    const path = join(dir, entry.name);
    if (!entry.isDirectory()) return entry.name.endsWith('.md') ? [path] : [];
    return ['node_modules', 'dist', '.git', '.posthorn', '.nx'].includes(entry.name) ? [] : markdownBelow(path);
  });

describe('links between the pages', () => {
  it('lead to files that are there', () => {
    const broken = markdownBelow(root).flatMap((file) =>
      [...readFileSync(file, 'utf8').matchAll(/\]\((?!https?:|#)([^)#]+)(?:#[^)]*)?\)/g)]
        .map(([, target = '']) => resolve(file, '..', target))
        .filter((target) => !existsSync(target))
        .map((target) => `${relative(root, file)} → ${relative(root, target)}`),
    );
    expect(broken).toEqual([]);
  });
});
