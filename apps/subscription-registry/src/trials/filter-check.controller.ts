import { Body, Controller, Param, Post } from '@nestjs/common';
import { filterCheckBody, filterCheckResult, type FilterCheckBody, type FilterCheckResult } from '@posthorn/contracts';
import { Answers, Scoped } from '@posthorn/service-kit';
import { FilterCheck } from './filter-check.js';

@Controller('v1/tenants/:tenant/filter-check')
export class FilterCheckController {
  constructor(private readonly filters: FilterCheck) {}

  @Post()
  @Scoped('registry:read')
  @Answers(200, filterCheckResult, 'Tries a filter or a transform on an event; says what comes of it, or what is wrong and where.', { changes: false })
  check(@Param('tenant') tenant: string, @Body({ schema: filterCheckBody }) body: FilterCheckBody): Promise<FilterCheckResult> {
    return this.filters.check(tenant, body);
  }
}
