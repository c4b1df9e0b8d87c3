import { Injectable } from '@nestjs/common';
import { Problem } from '@posthorn/service-kit';
import { DataSource } from 'typeorm';

const SQLSTATE = /^[\dHPX][\dA-Z]{4}$/;
/** Connection, resources, state (of a database that is closed for now), operator's intervention (a restart, a timeout), system. */
const PASSING = /^(?:08|53|55|57|58)/;

/** Whether it is the database that is away, rather than the statement that is wrong. */
export const isAway = (error: unknown): boolean => {
  // A mistake of ours, not an answer that failed to come.
  if (error instanceof TypeError || error instanceof RangeError) return false;
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  return typeof code !== 'string' || !SQLSTATE.test(code) || PASSING.test(code);
};

/** What the queries ask. */
@Injectable()
export class Database {
  constructor(private readonly source: DataSource) {}

  /** @throws {Problem} `unavailable` when PostgreSQL does not answer, or not in time */
  async query<Row>(sql: string, parameters: readonly unknown[] = []): Promise<Row[]> {
    try {
      return await this.source.query<Row[]>(sql, [...parameters]);
    } catch (cause) {
      throw isAway(cause) ? new Problem('unavailable', 'The database of the audit does not answer.', { cause }) : cause;
    }
  }
}
