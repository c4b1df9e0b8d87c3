import { existsSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { parse } from 'yaml';
import { dashboardOf } from './grafana/src/panels.ts';
import { overview } from './grafana/src/overview.ts';

type Container = {
  readonly image: string;
  readonly profiles?: readonly string[];
  readonly command?: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
  readonly ports?: readonly string[];
  readonly volumes?: readonly string[];
  readonly healthcheck?: object;
  readonly depends_on?: Readonly<Record<string, { readonly condition: string }>>;
};
type Compose = { readonly services: Readonly<Record<string, Container>>; readonly volumes: Readonly<Record<string, unknown>> };

const root = join(import.meta.dirname, '..');
const read = <File>(...path: readonly string[]): File => parse(readFileSync(join(root, ...path), 'utf8'), { merge: true }) as File; // ours

const { services, volumes } = read<Compose>('docker-compose.yml');
const all = Object.entries(services);
const service = (name: string): Container => {
  const found = services[name];
  if (found === undefined) throw new Error(`${name} is not in docker-compose.yml`);
  return found;
};

/** Folders of the repository that a container sees, by where. */
const mountsOf = ({ volumes: mounted = [] }: Container) =>
  mounted.filter((one) => one.startsWith('./')).map((one) => {
    const [source = '', target = '', mode = ''] = one.split(':');
    return { source, target, mode };
  });

/** The file of the repository that a container finds there. */
const seenAt = (name: string, path: string): string => {
  const mount = mountsOf(service(name)).find(({ target }) => path.startsWith(`${target}/`) || path === target);
  return mount === undefined ? `${path}, which nothing is mounted at` : join(root, mount.source, path.slice(mount.target.length));
};

describe('docker-compose.yml', () => {
  it('watches only who asks for it', () => {
    expect(all.filter(([, { profiles }]) => profiles !== undefined).map(([name, { profiles }]) => [name, profiles])).toEqual([
      ['prometheus', ['watch']],
      ['grafana', ['watch']],
    ]);
  });

  it.each(all)('publishes ports of %s to this machine only, and gives it folders that there are, to read', (_, container) => {
    for (const port of container.ports ?? []) expect(port).toMatch(/^127\.0\.0\.1:\d+:\d+$/);
    for (const { source, mode } of mountsOf(container)) {
      expect(statSync(join(root, source)).isDirectory()).toBe(true);
      expect(mode).toBe('ro');
    }
    for (const volume of (container.volumes ?? []).filter((one) => !one.startsWith('./'))) expect(Object.keys(volumes)).toContain(volume.split(':')[0]);
  });

  it.each(all)('lets %s wait for what says when it is healthy', (_, { depends_on = {} }) => {
    for (const [name, { condition }] of Object.entries(depends_on)) {
      expect(condition).toBe('service_healthy');
      expect(service(name).healthcheck).toBeDefined();
    }
  });

  it('has Prometheus scrape every service of ours, by rules that it finds', () => {
    const config = /--config\.file=(\S+)/.exec(service('prometheus').command?.join(' ') ?? '')?.[1] ?? '';
    const file = seenAt('prometheus', config);
    expect(existsSync(file)).toBe(true);
    const { rule_files, scrape_configs } = parse(readFileSync(file, 'utf8')) as {
      readonly rule_files: readonly string[];
      readonly scrape_configs: readonly { readonly static_configs: readonly { readonly targets: readonly string[] }[] }[];
    };
    for (const rules of rule_files) expect(existsSync(join(file, '..', rules))).toBe(true);
    const targets = scrape_configs.flatMap(({ static_configs }) => static_configs.flatMap((one) => one.targets));
    expect(targets.toSorted()).toEqual(all.filter(([, { image }]) => image.startsWith('posthorn:')).map(([name]) => `${name}:8080`).toSorted());
  });

  it('has Grafana find Prometheus, the dashboards, and the pages that their panels lead to', () => {
    const { datasources } = read<{ readonly datasources: readonly { readonly type: string; readonly url: string; readonly jsonData: { readonly timeInterval: string } }[] }>('deploy', 'grafana', 'provisioning', 'datasources', 'prometheus.yml');
    const { global } = read<{ readonly global: { readonly scrape_interval: string } }>('deploy', 'prometheus', 'prometheus.yml');
    expect(datasources).toMatchObject([{ type: 'prometheus', url: 'http://prometheus:9090', jsonData: { timeInterval: global.scrape_interval } }]);
    expect(existsSync(seenAt('grafana', '/etc/grafana/provisioning/datasources/prometheus.yml'))).toBe(true);
    const { providers } = read<{ readonly providers: readonly { readonly options: { readonly path: string } }[] }>('deploy', 'grafana', 'provisioning', 'dashboards', 'posthorn.yml');
    for (const { options } of providers) expect(seenAt('grafana', options.path)).toBe(join(root, 'deploy', 'grafana', 'dashboards'));
    expect(existsSync(seenAt('grafana', service('grafana').environment?.['GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH'] ?? ''))).toBe(true);
    const runbook = dashboardOf(overview).templating?.list?.find(({ name }) => name === 'runbook')?.query;
    // Grafana serves what is below its folder `public` as `/public`.
    expect(seenAt('grafana', `/usr/share/grafana${String(runbook)}/README.md`)).toBe(join(root, 'docs', 'runbook', 'README.md'));
  });
});
