import { Injectable } from '@nestjs/common';
import { isDatabaseAway } from '@posthorn/event-store';
import { Problem } from '@posthorn/service-kit';
import { DataSource } from 'typeorm';

/** What the queries ask. */
@Injectable()
export class Database {
  constructor(private readonly source: DataSource) {}

  /** @throws {Problem} `unavailable` when PostgreSQL does not answer, or not in time */
  async query<Row>(sql: string, parameters: readonly unknown[] = []): Promise<Row[]> {
    try {
      return await this.source.query<Row[]>(sql, [...parameters]);
    } catch (cause) {
      throw isDatabaseAway(cause) ? new Problem('unavailable', 'The database of the audit does not answer.', { cause }) : cause;
    }
  }
}
