import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * What the ingestion refused, in one partition per UTC day of the refusal, beside the tables of its sibling and under the same rules.
 * Rejections are few next to events, and so are those who look for them: two indexes by time, one across tenants.
 */
export class RejectedEvents1763800000000 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      create table audit.rejected_events (
        day          date not null,
        id           text collate "C" not null,
        tenant       text collate "C",
        rejected_at  timestamptz not null,
        door         text collate "C" not null,
        code         text collate "C" not null,
        message      text not null,
        path         text,
        errors       json,
        event_id     text collate "C",
        record       json,
        headers      json not null,
        value        bytea not null,
        truncated    boolean not null,
        published_as text,
        published_at timestamptz,
        primary key (id, day)
      ) partition by range (day)`);
    await runner.query(`comment on column audit.rejected_events.tenant is 'null when the refused names none, or what can be the name of none'`);
    await runner.query(`comment on column audit.rejected_events.published_as is 'set by the query side, in no record: the event that it became'`);
    await runner.query(`create index rejected_events_newest on audit.rejected_events (tenant, rejected_at, id)`);
    await runner.query(`create index rejected_events_newest_of_all on audit.rejected_events (rejected_at, id)`);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`drop table audit.rejected_events`);
  }
}
