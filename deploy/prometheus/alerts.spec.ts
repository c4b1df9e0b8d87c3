import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { parse } from 'yaml';

type Rule = { readonly alert?: string; readonly record?: string; readonly expr: string; readonly labels?: { readonly severity?: string }; readonly annotations?: { readonly summary?: string; readonly runbook?: string } };
type RuleFile = { readonly groups: readonly { readonly name: string; readonly rules: readonly Rule[] }[] };
type AlertTest = { readonly alertname: string; readonly exp_alerts?: readonly unknown[] };
type TestFile = { readonly group_eval_order: readonly string[]; readonly tests: readonly { readonly alert_rule_test?: readonly AlertTest[] }[] };

const root = join(import.meta.dirname, '..', '..');
const read = <File>(...path: readonly string[]): File => parse(readFileSync(join(import.meta.dirname, ...path), 'utf8')) as File; // ours; promtool is stricter than any schema of them

const files = ['limits.yml', 'recording.yml', 'alerts.yml'].map((name) => read<RuleFile>(name));
const groups = files.flatMap((file) => file.groups);
const alerts = groups.flatMap(({ rules }) => rules).filter(({ alert }) => alert !== undefined);
const names = [...new Set(alerts.map(({ alert = '' }) => alert))];
const tests = readdirSync(join(import.meta.dirname, 'tests')).map((name) => read<TestFile>('tests', name));
const judged = tests.flatMap((file) => file.tests.flatMap(({ alert_rule_test = [] }) => alert_rule_test));

describe('the alerts', () => {
  it.each(alerts.map((rule) => [`${rule.alert} (${rule.labels?.severity})`, rule] as const))('%s says who is to look, what is the matter, and where to read on', (_, { labels, annotations }) => {
    expect(['page', 'ticket']).toContain(labels?.severity);
    expect(annotations?.summary).toBeTruthy();
    expect(readFileSync(join(root, annotations?.runbook ?? 'nothing'), 'utf8')).toMatch(/^# .+\n\n\*\*What it means\.\*\* [^]+\n\n\*\*How to look\.\*\*[^]+\n\n\*\*What to do\.\*\* [^]+/);
  });

  it.each(names)('%s is tested, firing and silent', (name) => {
    const outcomes = judged.filter(({ alertname }) => alertname === name).map(({ exp_alerts = [] }) => exp_alerts.length > 0);
    expect(new Set(outcomes)).toEqual(new Set([true, false]));
  });

  it('are all in the runbook, which has no page that nothing leads to', () => {
    const folder = join(root, 'docs', 'runbook');
    const index = readFileSync(join(folder, 'README.md'), 'utf8');
    expect([...index.matchAll(/^\| `(Posthorn\w+)`/gm)].map(([, name]) => name).toSorted()).toEqual(names.toSorted());
    const pages = new Set(alerts.map(({ annotations }) => annotations?.runbook));
    expect(readdirSync(folder).filter((page) => page !== 'README.md' && !pages.has(`docs/runbook/${page}`))).toEqual([]);
  });

  it('are tested with every group of rules in the order of the files', () => {
    expect(tests.map(({ group_eval_order }) => group_eval_order)).toEqual(tests.map(() => groups.map(({ name }) => name)));
  });
});
