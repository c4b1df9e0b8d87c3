import { Controller, Get, Header, Param, Query } from '@nestjs/common';
import type { DeliveryView, Page } from '@posthorn/contracts';
import { parseOrRefuse, Problem, Scoped } from '@posthorn/service-kit';
import { Database } from './database.js';
import { deliveriesOfEventQuery, listDeliveriesOfEvent } from './deliveries.js';
import { dayOfEvent, eventsQuery, listEvents, readEvent, type EventView } from './events.js';

@Controller('v1/tenants/:tenant/events')
export class EventsController {
  constructor(private readonly database: Database) {}

  @Get()
  @Scoped('audit:read')
  list(@Param('tenant') tenant: string, @Query() query: unknown): Promise<Page<EventView>> {
    return listEvents(this.database, tenant, parseOrRefuse(eventsQuery, query));
  }

  @Get(':id')
  @Scoped('audit:read')
  @Header('content-type', 'application/json; charset=utf-8')
  async read(@Param('tenant') tenant: string, @Param('id') id: string): Promise<Buffer> {
    return (await readEvent(this.database, tenant, id)) ?? unknownEvent();
  }

  @Get(':id/deliveries')
  @Scoped('audit:read')
  async deliveries(@Param('tenant') tenant: string, @Param('id') id: string, @Query() query: unknown): Promise<Page<DeliveryView>> {
    const listing = parseOrRefuse(deliveriesOfEventQuery, query);
    const day = (await dayOfEvent(this.database, tenant, id)) ?? unknownEvent();
    return listDeliveriesOfEvent(this.database, { tenant, id, day }, listing);
  }
}

const unknownEvent = (): never => {
  throw new Problem('not_found', 'no event of this tenant has this id');
};
