import { Controller, Get, Param, Query } from '@nestjs/common';
import { statisticsView, type StatisticsView } from '@posthorn/contracts';
import { Answers, Problem, Scoped } from '@posthorn/service-kit';
import { Database } from '../query/database.js';
import { Patience } from '../registry/patience.js';
import { isSubscriptionOf } from './subscriptions.js';
import { readStatistics, spanOfQuery, statisticsQuery, type StatisticsQuery } from './statistics.js';

@Controller('v1/tenants/:tenant')
export class StatisticsController {
  constructor(
    private readonly database: Database,
    private readonly patience: Patience,
  ) {}

  @Get('stats')
  @Scoped('audit:read')
  @Answers(200, statisticsView, 'How deliveries and attempts of the tenant came out, and how long they took, in all and over time.', { operationId: 'getStatistics' })
  ofTenant(@Param('tenant') tenant: string, @Query({ schema: statisticsQuery }) query: StatisticsQuery): Promise<StatisticsView> {
    return readStatistics(this.database, { tenant }, spanOfQuery(query, Date.now()));
  }

  @Get('subscriptions/:id/stats')
  @Scoped('audit:read')
  @Answers(200, statisticsView, 'How deliveries and attempts of a subscription came out, and how long they took, in all and over time.', { operationId: 'getSubscriptionStatistics' })
  async ofSubscription(
    @Param('tenant') tenant: string,
    @Param('id') id: string,
    @Query({ schema: statisticsQuery }) query: StatisticsQuery,
  ): Promise<StatisticsView> {
    const span = spanOfQuery(query, Date.now());
    const known = await this.patience.find(async () => ((await isSubscriptionOf(this.database, tenant, id)) ? id : undefined));
    if (known === undefined) throw new Problem('not_found', 'no subscription of this tenant has this id');
    return readStatistics(this.database, { tenant, subscription: id }, span);
  }
}
