import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * An entry of an index holds 2,704 bytes (PostgreSQL manual, 64.1), and a subject of 1,024 characters, which any producer may send, up to 3,072: its event
 * could not be written. So the index has the beginning of a subject, of 1,024 bytes at most; whoever searches says both (`query/listing.ts`).
 */
export class LongSubjects1765400000000 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`drop index audit.events_of_subject`);
    await runner.query(`create index events_of_subject on audit.events (tenant, left(subject, 256), accepted_at) where subject is not null`);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`drop index audit.events_of_subject`);
    await runner.query(`create index events_of_subject on audit.events (tenant, subject, accepted_at) where subject is not null`);
  }
}
