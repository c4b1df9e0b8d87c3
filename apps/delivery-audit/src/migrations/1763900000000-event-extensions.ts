import type { MigrationInterface, QueryRunner } from 'typeorm';

/** What a CloudEvent has beside the attributes that have columns. It is there to be shown, as `headers` and `context` are. */
export class EventExtensions1763900000000 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`alter table audit.events add column extensions json`);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`alter table audit.events drop column extensions`);
  }
}
