import { Controller, Get, Param, Query } from '@nestjs/common';
import {
  attemptView,
  deliveryView,
  pageSchema,
  timelineEntry,
  wholeDelivery,
  type AttemptView,
  type DeliveryView,
  type Page,
  type TimelineEntry,
  type WholeDeliveryView,
} from '@posthorn/contracts';
import { Answers, Problem, Scoped } from '@posthorn/service-kit';
import { attemptsQuery, listAttempts, type AttemptsQuery } from './attempts.js';
import { Database } from './database.js';
import { deliveriesQuery, findDelivery, listDeliveries, type DeliveriesQuery, type FoundDelivery } from './deliveries.js';
import { wholeViewOf } from './rounds.js';
import { listTimeline, timelineQuery, type TimelineQuery } from './timeline.js';

@Controller('v1/tenants/:tenant/deliveries')
export class DeliveriesController {
  constructor(private readonly database: Database) {}

  @Get()
  @Scoped('audit:read')
  @Answers(200, pageSchema(deliveryView), 'The deliveries, newest first.')
  list(@Param('tenant') tenant: string, @Query({ schema: deliveriesQuery }) query: DeliveriesQuery): Promise<Page<DeliveryView>> {
    return listDeliveries(this.database, tenant, query);
  }

  @Get(':id')
  @Scoped('audit:read')
  @Answers(200, wholeDelivery, 'A delivery: where it stands, what it waits for, and which rounds were asked for.')
  async read(@Param('tenant') tenant: string, @Param('id') id: string): Promise<WholeDeliveryView> {
    return wholeViewOf(this.database, await this.#find(tenant, id));
  }

  @Get(':id/timeline')
  @Scoped('audit:read')
  @Answers(200, pageSchema(timelineEntry), 'What happened to it, oldest first.')
  async timeline(@Param('tenant') tenant: string, @Param('id') id: string, @Query({ schema: timelineQuery }) query: TimelineQuery): Promise<Page<TimelineEntry>> {
    return listTimeline(this.database, await this.#find(tenant, id), query);
  }

  @Get(':id/attempts')
  @Scoped('audit:read')
  @Answers(200, pageSchema(attemptView), 'Its attempts, in the order in which they were made.', { operationId: 'listAttempts' })
  async attempts(@Param('tenant') tenant: string, @Param('id') id: string, @Query({ schema: attemptsQuery }) query: AttemptsQuery): Promise<Page<AttemptView>> {
    return listAttempts(this.database, await this.#find(tenant, id), query);
  }

  async #find(tenant: string, id: string): Promise<FoundDelivery> {
    return (await findDelivery(this.database, tenant, id)) ?? unknownDelivery();
  }
}

const unknownDelivery = (): never => {
  throw new Problem('not_found', 'no delivery of this tenant has this id');
};
