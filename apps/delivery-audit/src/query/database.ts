import { Injectable } from '@nestjs/common';
import { isDatabaseAway, storable } from '@posthorn/event-store';
import { Problem } from '@posthorn/service-kit';
import { DataSource } from 'typeorm';

/**
 * What the connections of the queries are told. Nearly every question wants the first rows of an order: an index has them, whereas a bitmap gathers all
 * there are and sorts them, which looks cheap wherever the planner takes conditions for independent that are not (what failed, failed of few errors).
 * Compiling a statement for its many partitions takes longer than to answer it.
 */
export const READ_SETTINGS = ['enable_bitmapscan=off', 'jit=off'] as const;

const asStored = (parameter: unknown): unknown => (typeof parameter === 'string' ? storable(parameter) : parameter);

/** What the queries ask. */
@Injectable()
export class Database {
  constructor(private readonly source: DataSource) {}

  /**
   * Texts among the parameters may hold what PostgreSQL cannot: they are asked for as they would be stored.
   * @throws {Problem} `unavailable` when PostgreSQL does not answer, or not in time
   */
  async query<Row>(sql: string, parameters: readonly unknown[] = []): Promise<Row[]> {
    try {
      return await this.source.query<Row[]>(sql, parameters.map(asStored));
    } catch (cause) {
      throw isDatabaseAway(cause) ? new Problem('unavailable', 'The database of the audit does not answer.', { cause }) : cause;
    }
  }
}
