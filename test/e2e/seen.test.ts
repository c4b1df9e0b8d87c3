import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals';
import { PublishEventRequest } from '@posthorn/contracts/grpc/ingestion';
import {
  eventually,
  freePort,
  posthornDir,
  prometheusPrograms,
  promtoolOf,
  repositoryRoot,
  startPrometheus,
  startReceiver,
  type Prometheus,
  type Promtool,
  type Receiver,
} from '@posthorn/testkit';
import { parse } from 'yaml';
import { callRaw, connect } from '../support/grpc-client.js';
import { durationBoundsOn, labelFaults, metricsOn } from '../support/metric-labels.js';
import { Posthorn } from '../support/posthorn.js';
import { serviceNames, type ServiceName } from '../support/service.js';

jest.setTimeout(180_000);

const rules = join(repositoryRoot, 'deploy', 'prometheus');
const dashboards = join(repositoryRoot, 'deploy', 'grafana', 'dashboards');
const TENANT = 'seen-canary';
const TRAFFIC_MS = 60_000;

type Target = { readonly expr: string };
type DrawnPanel = { readonly title?: string; readonly targets?: readonly Target[]; readonly panels?: readonly DrawnPanel[] };
type Drawn = { readonly panels: readonly DrawnPanel[]; readonly annotations: { readonly list: readonly { readonly name: string; readonly expr: string }[] } };
type Rule = { readonly name: string; readonly query: string; readonly health: string; readonly type: 'recording' | 'alerting' };
type RuleTest = { readonly tests: readonly { readonly promql_expr_test?: readonly { readonly expr: string; readonly exp_samples?: readonly unknown[] }[] }[] };

const panelsIn = (panels: readonly DrawnPanel[]): readonly DrawnPanel[] => panels.flatMap((panel) => [panel, ...panelsIn(panel.panels ?? [])]);

/** What is asked in Grafana, its variables at their defaults. */
const queries = readdirSync(dashboards).flatMap((file) => {
  const { panels, annotations } = JSON.parse(readFileSync(join(dashboards, file), 'utf8')) as Drawn;
  const asked = [...panelsIn(panels).flatMap(({ title, targets = [] }) => targets.map(({ expr }) => [title, expr] as const)), ...annotations.list.map(({ name, expr }) => [name, expr] as const)];
  return asked.map(([title, expr]) => [`${file}: ${title}: ${expr}`, expr.replaceAll('$__rate_interval', '1m').replaceAll(/\$(?:service|instance)\b/g, '.*')] as const);
});

/** What the runbook has somebody ask Prometheus; of a comparison, what is compared. */
const runbook = join(repositoryRoot, 'docs', 'runbook');
const advised = readdirSync(runbook).flatMap((page) =>
  [...readFileSync(join(runbook, page), 'utf8').matchAll(/`((?:posthorn[_:]|nodejs_|process_|up\{|[a-z_]+(?: by \([a-z, ]+\) )?\()[^`]+)`/g)].map(([, said = '']) => [page, said.replaceAll('\n', ' ').replace(/ (?:==|>) \S+$/, '')] as const),
);

/** What has no data after a minute without trouble, and should not have; that it has some otherwise is shown by the tests of the rules. */
const rightlyEmpty: readonly (readonly [why: string, expression: RegExp])[] = [
  ['nothing was an hour ago', /offset 1h/],
  ['no alert fires', /^ALERTS/],
];
const isRightlyEmpty = (expression: string): boolean => rightlyEmpty.some(([, pattern]) => pattern.test(expression));

const ruleTests = readdirSync(join(rules, 'tests')).map((file) => join(rules, 'tests', file));
const shownByRuleTests = new Set(
  ruleTests
    .flatMap((file) => (parse(readFileSync(file, 'utf8')) as RuleTest).tests) // ours; promtool is stricter than any schema of them
    .flatMap(({ promql_expr_test = [] }) => promql_expr_test)
    .filter(({ exp_samples = [] }) => exp_samples.length > 0)
    .map(({ expr }) => expr),
);

/** Metrics that an expression reads, without the ranges over which it does. */
const selectorsIn = (expression: string): readonly string[] => [...expression.matchAll(/posthorn[_:][a-z0-9_:]+(?:\{[^}]*\})?/g)].map(([selector]) => selector);

let posthorn: Posthorn;
let receiver: Receiver;
let prometheus: Prometheus;
let promtool: Promtool;
let recorded: readonly Rule[];
let alerts: readonly Rule[];
/** What must not be read in any metric. */
let told: readonly string[];
/** Expressions that have had data. */
const answered = new Set<string>();

beforeAll(async () => {
  const programs = await prometheusPrograms(posthornDir);
  promtool = promtoolOf(programs);
  receiver = await startReceiver();
  posthorn = await Posthorn.start('seen');
  prometheus = await startPrometheus({
    programs,
    dir: join(posthornDir, 'test', 'prometheus'),
    port: await freePort('127.0.0.1'),
    config: JSON.stringify({
      global: { scrape_interval: '1s', evaluation_interval: '1s' },
      rule_files: ['limits.yml', 'recording.yml', 'alerts.yml'].map((file) => join(rules, file)),
      scrape_configs: [{ job_name: 'posthorn', static_configs: [{ targets: serviceNames.map((name) => new URL(posthorn.services[name].url).host) }] }],
    }),
  });
  const all = await rulesOf(prometheus);
  recorded = all.filter(({ type }) => type === 'recording');
  alerts = all.filter(({ type }) => type === 'alerting');
  await traffic([...[...queries, ...advised].map(([, expression]) => expression), ...recorded.map(({ name }) => name), ...alerts.flatMap(({ query }) => selectorsIn(query))]);
});

afterAll(async () => {
  await prometheus?.stop();
  await posthorn?.close();
  await receiver?.close();
});

const rulesOf = async ({ url }: Prometheus): Promise<readonly Rule[]> => {
  const { data } = (await (await fetch(`${url}/api/v1/rules`)).json()) as { readonly data: { readonly groups: readonly { readonly rules: readonly Rule[] }[] } };
  return data.groups.flatMap((group) => group.rules);
};

const hasData = async (expression: string): Promise<boolean> => (await prometheus.query(expression)).some(({ value }) => !Number.isNaN(value));

/**
 * Some of everything, delivered, retried, filtered out, set aside for its rate, refused, by every door, until each expression has had data: a rate
 * needs an increase between two scrapes, so traffic has to go on while Prometheus looks.
 */
const traffic = async (expressions: readonly string[]): Promise<void> => {
  await posthorn.api.ask('POST', '/v1/tenants', { id: TENANT, name: TENANT });
  receiver.replyAt('/failing', { status: 500 }, { status: 500 }, { status: 200 });
  const subscriptions = await Promise.all([
    posthorn.subscribe({ url: `${receiver.url}/quick`, event_types: ['*'] }, TENANT),
    posthorn.subscribe({ url: `${receiver.url}/failing`, event_types: ['*'], policy: { retry_schedule: ['1s', '1s'] } }, TENANT),
    posthorn.subscribe({ url: `${receiver.url}/never`, event_types: ['*'], filter: 'data.n < 0' }, TENANT),
    posthorn.subscribe({ url: `${receiver.url}/slowly`, event_types: ['*'], policy: { rate_limit: { per_second: 0.2, burst: 1 } } }, TENANT),
  ]);
  told = [TENANT, 'seen-event', new URL(receiver.url).host, ...subscriptions.map(({ id }) => id)];
  const grpc = connect(posthorn.services['event-ingestion'].grpcAddress);
  const unanswered = new Set(expressions.filter((expression) => !isRightlyEmpty(expression)));
  let n = 0;
  const publish = async (): Promise<void> => {
    n += 1;
    const event = (door: string) => ({ id: `seen-event-${door}-${n}`, type: 'seen', data: { n } });
    await posthorn.api.ask('POST', `/v1/tenants/${TENANT}/events`, event('rest'));
    await posthorn.produce({ value: JSON.stringify({ ...event('kafka'), tenant: TENANT }) });
    const overGrpc = { ...event('grpc'), data: Buffer.from(JSON.stringify({ n })), time: undefined, headers: {}, extensions: {} };
    await callRaw(grpc, '/posthorn.ingestion.v1.EventService/PublishEvent', PublishEventRequest.encode({ tenant: TENANT, event: overGrpc }).finish(), { metadata: { ...posthorn.api.authorization } });
    await posthorn.api.call('POST', `/v1/tenants/${TENANT}/events`, '{"id":"seen-event-refused","data":1}');
    // A change of the registry too.
    await posthorn.api.ask('PATCH', `/v1/tenants/${TENANT}`, { name: `${TENANT} ${n}` });
  };
  try {
    await eventually(
      async () => {
        await publish();
        for (const expression of unanswered) {
          if (!(await hasData(expression))) continue;
          unanswered.delete(expression);
          answered.add(expression);
        }
        return unanswered.size === 0;
      },
      { timeoutMs: TRAFFIC_MS, everyMs: 250 },
    ).catch(() => undefined); // each that was not answered fails a test of its own
  } finally {
    grpc.close();
  }
};

const pageOf = async (service: ServiceName): Promise<string> => (await fetch(`${posthorn.services[service].url}/metrics`)).text();

/** Metrics of api.md's table that a service has. */
const promisedBy = (service: ServiceName): readonly string[] =>
  [...readFileSync(join(repositoryRoot, 'docs', 'api.md'), 'utf8').matchAll(/^\| `(posthorn_[a-z_]+)[^`]*` \| ([^|]+) \|/gm)].flatMap(([, metric = '', who = '']) =>
    who.trim() === 'all' || who.includes(service) ? [metric] : [],
  );

describe('metrics', () => {
  it.each(serviceNames)('of %s are those that docs/api.md tells of', async (service) => {
    expect(metricsOn(await pageOf(service)).toSorted()).toEqual(promisedBy(service).toSorted());
  });

  it.each(serviceNames)('of %s are named as Prometheus wants them, and no label tells a tenant, an id or a URL', async (service) => {
    const page = await pageOf(service);
    expect(labelFaults(page, told)).toEqual([]);
    const { said } = await promtool(['check', 'metrics'], page);
    // prom-client's own names of what Node has open.
    expect(said.split('\n').filter((line) => line !== '' && !/^nodejs_active_(handles|requests|resources)_total non-counter/.test(line))).toEqual([]);
  });

  it('resolve durations from a millisecond to a minute, no step wider than two and a half times', async () => {
    const page = (await Promise.all(serviceNames.map(pageOf))).join('\n');
    const bounds = durationBoundsOn(page);
    expect([...bounds.keys()].toSorted()).toEqual([...new Set([...page.matchAll(/^# TYPE (posthorn_\w+) histogram$/gm)].map(([, name = '']) => name))].filter((name) => name.endsWith('_seconds')).toSorted());
    for (const [, [least = NaN, ...others]] of bounds) {
      expect(least).toBeLessThanOrEqual(0.001);
      expect(others.at(-1)).toBe(60);
      expect(Math.max(...others.map((bound, index) => bound / (others[index - 1] ?? least)))).toBeLessThanOrEqual(2.5);
    }
  });
});

describe('rules', () => {
  it('are valid, and do what their tests say', async () => {
    for (const args of [['check', 'config', join(rules, 'prometheus.yml')], ['test', 'rules', ...ruleTests]]) {
      expect(await promtool(args)).toMatchObject({ exit: 0 });
    }
  });

  it('are evaluated without errors', async () => {
    const all = await eventually(async () => (await rulesOf(prometheus).then((rules) => rules.every(({ health }) => health !== 'unknown') && rules)) || undefined, { describe: 'every rule to be evaluated' });
    expect(all.filter(({ health }) => health !== 'ok')).toEqual([]);
  });

  it('record something each', () => {
    expect(recorded.map(({ name }) => name).filter((name) => !answered.has(name))).toEqual([]);
  });

  it('alert on nothing that is not told', () => {
    expect(alerts.flatMap(({ name, query }) => selectorsIn(query).filter((selector) => !answered.has(selector)).map((selector) => `${name}: ${selector}`))).toEqual([]);
  });

  it('fire for nobody while all is well', async () => {
    // How late first attempts are is up to the machine that the tests have.
    expect(await prometheus.query('ALERTS{alertstate="firing", severity="page", alertname!="PosthornFirstAttemptsLate"}')).toEqual([]);
  });
});

describe('the runbook', () => {
  it.each(advised)('has data in %s for %s', (_, expression) => {
    expect(answered).toContain(expression);
  });
});

describe('what is drawn', () => {
  it.each(queries.filter(([, expression]) => !isRightlyEmpty(expression)))('has data: %s', (_, expression) => {
    expect(answered).toContain(expression);
  });

  it.each(queries.filter(([, expression]) => isRightlyEmpty(expression)))('has data as the tests of the rules show: %s', async (_, expression) => {
    expect(shownByRuleTests).toContain(expression);
    await expect(prometheus.query(expression)).resolves.toBeDefined();
  });
});
