/** The conditions of a query, joined by `and`; values are always parameters. */
export class Conditions {
  readonly #texts: string[] = [];

  /** @param parameters of the statement, which several parts of it may share */
  constructor(readonly parameters: (string | number)[] = []) {}

  /** Each `?` takes one value. Absent when the value is undefined: a filter not given does not filter. */
  add(text: string, ...values: readonly (string | undefined)[]): this {
    const given = values.filter((value) => value !== undefined);
    if (given.length < values.length) return this;
    let next = 0;
    this.#texts.push(text.replaceAll('?', () => this.parameter(given[next++] ?? '')));
    return this;
  }

  /**
   * A column's value, asked of each row that an index has led to, and of no index. Where a day's statistics are yet to be gathered the planner takes every
   * column for as telling as any other, and might be led by a tenant, who has millions of rows, past an event, which has two.
   */
  check(column: string, value: string | undefined): this {
    return this.add(`(${column} = ?) is true`, value);
  }

  parameter(value: string | number): string {
    return `$${this.parameters.push(value)}`;
  }

  get text(): string {
    return this.#texts.join(' and ');
  }

  /** The clause; empty when there are no conditions. */
  get where(): string {
    return this.#texts.length === 0 ? '' : `where ${this.text}`;
  }
}

/** A row without its nulls: what has no value is absent from an answer. */
export const withoutNulls = <Row extends object>(row: Row): { [Name in keyof Row]: Exclude<Row[Name], null> } =>
  Object.fromEntries(Object.entries(row).filter(([, value]) => value !== null)) as { [Name in keyof Row]: Exclude<Row[Name], null> };
