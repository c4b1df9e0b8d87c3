import type { TestDatabase } from './database.js';

type Node = {
  readonly 'Node Type': string;
  readonly 'Relation Name'?: string;
  readonly 'Actual Rows': number;
  readonly 'Actual Loops': number;
  readonly 'Rows Removed by Filter'?: number;
  readonly 'Rows Removed by Index Recheck'?: number;
  readonly Plans?: readonly Node[];
};

/** How PostgreSQL answered a statement. */
export type Course = {
  readonly sql: string;
  /** Tables that were read, as partitions are named. */
  readonly tables: ReadonlySet<string>;
  /** Of which all rows were read. */
  readonly readWhole: ReadonlySet<string>;
  /** Rows that were read, whether or not they were of use. */
  readonly rows: number;
};

const all = (node: Node): readonly Node[] => [node, ...(node.Plans ?? []).flatMap(all)];

const rowsRead = (node: Node): number =>
  Math.round(node['Actual Loops'] * (node['Actual Rows'] + (node['Rows Removed by Filter'] ?? 0) + (node['Rows Removed by Index Recheck'] ?? 0)));

const courseOf = (sql: string, plan: Node): Course => {
  const scans = all(plan).filter((node) => node['Relation Name'] !== undefined && node['Actual Loops'] > 0);
  return {
    sql,
    tables: new Set(scans.map((node) => node['Relation Name'] ?? '')),
    readWhole: new Set(scans.filter((node) => node['Node Type'] === 'Seq Scan').map((node) => node['Relation Name'] ?? '')),
    rows: scans.reduce((sum, node) => sum + rowsRead(node), 0),
  };
};

/** Answers statements as the database does, and keeps how it went about them. */
export class Observed {
  readonly courses: Course[] = [];

  /** Of the connection of the test there is one. */
  #last: Promise<unknown> = Promise.resolve();

  constructor(private readonly database: TestDatabase) {}

  query<Row>(sql: string, parameters: readonly unknown[] = []): Promise<Row[]> {
    const answer = this.#last.then(() => this.#query<Row>(sql, parameters));
    this.#last = answer.catch(() => undefined);
    return answer;
  }

  async #query<Row>(sql: string, parameters: readonly unknown[]): Promise<Row[]> {
    const [plan] = await this.database.query<{ 'QUERY PLAN': readonly { readonly Plan: Node }[] }>(`explain (analyze, timing off, format json) ${sql}`, [...parameters]);
    for (const { Plan } of plan?.['QUERY PLAN'] ?? []) this.courses.push(courseOf(sql, Plan));
    return (await this.database.query(sql, [...parameters])) as Row[];
  }
}
