import { Controller, Get, Param, Query } from '@nestjs/common';
import type { DeliveryView, Page } from '@posthorn/contracts';
import { parseOrRefuse, Problem, Scoped } from '@posthorn/service-kit';
import { attemptsQuery, listAttempts, type AttemptView } from './attempts.js';
import { Database } from './database.js';
import { dayOfDelivery, deliveriesQuery, listDeliveries, readDelivery } from './deliveries.js';

@Controller('v1/tenants/:tenant/deliveries')
export class DeliveriesController {
  constructor(private readonly database: Database) {}

  @Get()
  @Scoped('audit:read')
  list(@Param('tenant') tenant: string, @Query() query: unknown): Promise<Page<DeliveryView>> {
    return listDeliveries(this.database, tenant, parseOrRefuse(deliveriesQuery, query));
  }

  @Get(':id')
  @Scoped('audit:read')
  async read(@Param('tenant') tenant: string, @Param('id') id: string): Promise<DeliveryView> {
    return (await readDelivery(this.database, tenant, id)) ?? unknownDelivery();
  }

  @Get(':id/attempts')
  @Scoped('audit:read')
  async attempts(@Param('tenant') tenant: string, @Param('id') id: string, @Query() query: unknown): Promise<Page<AttemptView>> {
    const listing = parseOrRefuse(attemptsQuery, query);
    const day = (await dayOfDelivery(this.database, tenant, id)) ?? unknownDelivery();
    return listAttempts(this.database, id, day, listing);
  }
}

const unknownDelivery = (): never => {
  throw new Problem('not_found', 'no delivery of this tenant has this id');
};
