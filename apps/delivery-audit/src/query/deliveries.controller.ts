import { Controller, Get, Param, Query } from '@nestjs/common';
import { attemptView, deliveryView, pageSchema, type AttemptView, type DeliveryView, type Page } from '@posthorn/contracts';
import { Answers, Problem, Scoped } from '@posthorn/service-kit';
import { attemptsQuery, listAttempts, type AttemptsQuery } from './attempts.js';
import { Database } from './database.js';
import { dayOfDelivery, deliveriesQuery, listDeliveries, readDelivery, type DeliveriesQuery } from './deliveries.js';

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
  @Answers(200, deliveryView, 'A delivery.')
  async read(@Param('tenant') tenant: string, @Param('id') id: string): Promise<DeliveryView> {
    return (await readDelivery(this.database, tenant, id)) ?? unknownDelivery();
  }

  @Get(':id/attempts')
  @Scoped('audit:read')
  @Answers(200, pageSchema(attemptView), 'Its attempts, in the order in which they were made.')
  async attempts(@Param('tenant') tenant: string, @Param('id') id: string, @Query({ schema: attemptsQuery }) query: AttemptsQuery): Promise<Page<AttemptView>> {
    const day = (await dayOfDelivery(this.database, tenant, id)) ?? unknownDelivery();
    return listAttempts(this.database, id, day, query);
  }
}

const unknownDelivery = (): never => {
  throw new Problem('not_found', 'no delivery of this tenant has this id');
};
