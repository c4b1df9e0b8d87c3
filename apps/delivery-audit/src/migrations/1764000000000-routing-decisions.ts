import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * What the router saw when it decided about an event: how far it had read the registry, and who nearly matched. Those that matched are
 * the event's deliveries. A row for each event, beside that of the event itself, because either may be read first; the key is all that
 * it is looked up by.
 */
export class RoutingDecisions1764000000000 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      create table audit.decisions (
        day       date not null,
        tenant    text collate "C" not null,
        event_id  text collate "C" not null,
        position  bigint not null,
        near      json,
        near_more integer not null,
        primary key (tenant, event_id, day)
      ) partition by range (day)`);
    await runner.query(`comment on column audit.decisions.near is 'the near matches that are named: [{subscription, why}]; near_more is how many there are beside'`);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`drop table audit.decisions`);
  }
}
