import { Controller, Get, Param, Query } from '@nestjs/common';
import { Scoped } from '@posthorn/service-kit';
import { Database } from './database.js';
import { countMissed, missedQuery, type MissedCount, type MissedQuery } from './missed.js';

@Controller('v1/tenants/:tenant/stats')
export class MissedController {
  constructor(private readonly database: Database) {}

  @Get('missed')
  @Scoped('audit:read')
  missed(@Param('tenant') tenant: string, @Query({ schema: missedQuery }) query: MissedQuery): Promise<MissedCount> {
    return countMissed(this.database, tenant, query);
  }
}
