import { Controller, Get, Param, Query } from '@nestjs/common';
import { missedCount, type MissedCount } from '@posthorn/contracts';
import { Answers, Scoped } from '@posthorn/service-kit';
import { Database } from './database.js';
import { countMissed, missedQuery, type MissedQuery } from './missed.js';

@Controller('v1/tenants/:tenant/stats')
export class MissedController {
  constructor(private readonly database: Database) {}

  @Get('missed')
  @Scoped('audit:read')
  @Answers(200, missedCount, 'How many events of some types came in a time: what a subscription to them would have had.', { operationId: 'countMissed' })
  missed(@Param('tenant') tenant: string, @Query({ schema: missedQuery }) query: MissedQuery): Promise<MissedCount> {
    return countMissed(this.database, tenant, query);
  }
}
