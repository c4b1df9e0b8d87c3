import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { boards } from './dashboards.ts';
import { dashboardOf, marks, PICKED } from './panels.ts';

const folder = join(import.meta.dirname, '..', 'dashboards');
const root = join(import.meta.dirname, '..', '..', '..');

/** With it, the dashboards are written instead of compared. */
const isWriting = process.env['POSTHORN_WRITE_DOCS'] === '1';

const panelsOf = Object.entries(boards).flatMap(([file, { rows }]) => rows.flatMap(({ panels }) => panels.map((panel) => [`${file}: ${panel.asks}`, panel] as const)));

describe('the dashboards', () => {
  it.each(Object.entries(boards))('%s is what its source says (POSTHORN_WRITE_DOCS=1 npm test -- --only unit dashboards makes it so)', (file, board) => {
    const text = `${JSON.stringify(dashboardOf(board), null, 2)}\n`;
    if (isWriting) writeFileSync(join(folder, file), text);
    expect(readFileSync(join(folder, file), 'utf8')).toBe(text);
  });

  it('are all there are', () => {
    expect(readdirSync(folder).toSorted()).toEqual(Object.keys(boards).toSorted());
  });

  it.each(panelsOf)('%s asks of what there is, and says what to make of the answer', (_, { asks, explains, queries, runbook }) => {
    expect(asks).toMatch(/^[A-Z].*\?$/);
    expect(explains).toMatch(/^[0-9A-Z`/].+\.$/);
    expect(queries.length).toBeGreaterThan(0);
    for (const [expression] of queries) expect(strangersIn(expression)).toEqual([]);
    expect(runbook === undefined || existsSync(join(root, 'docs', 'runbook', `${runbook}.md`))).toBe(true);
  });

  it('ask only of the processes that are picked, where they can be', () => {
    const picking = Object.values(boards).filter(({ picks }) => picks);
    expect(picking).not.toEqual([]);
    for (const [expression] of picking.flatMap(({ rows }) => rows.flatMap(({ panels }) => panels.flatMap(({ queries }) => queries)))) expect(expression).toContain(PICKED);
  });

  it.each(marks)('mark of what there is: $name', ({ expression }) => {
    expect(strangersIn(expression)).toEqual([]);
  });

  it('have an id each, and no two panels of one the same question', () => {
    expect(new Set(Object.values(boards).map(({ uid }) => uid)).size).toBe(Object.keys(boards).length);
    for (const { rows } of Object.values(boards)) {
      const questions = rows.flatMap(({ panels }) => panels.map(({ asks }) => asks));
      expect(questions.filter((one, index) => questions.indexOf(one) !== index)).toEqual([]);
    }
  });
});

const known = new Set([
  ...[...readFileSync(join(root, 'docs', 'api.md'), 'utf8').matchAll(/^\| `(posthorn_[a-z_]+)/gm)].map(([, name = '']) => name),
  ...[...readFileSync(join(root, 'deploy', 'prometheus', 'recording.yml'), 'utf8').matchAll(/record: (\S+)/g)].map(([, name = '']) => name),
  ...[...readFileSync(join(root, 'deploy', 'prometheus', 'limits.yml'), 'utf8').matchAll(/record: (\S+)/g)].map(([, name = '']) => name),
]);

/** Names of ours in an expression that nothing tells or records. */
const strangersIn = (expression: string): readonly string[] =>
  [...expression.matchAll(/posthorn[_:][a-z0-9_:]+/g)].map(([name]) => name).filter((name) => !known.has(name) && !known.has(name.replace(/_(bucket|sum|count)$/, '')));
