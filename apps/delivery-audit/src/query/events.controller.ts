import { Controller, Get, Header, Param, Query } from '@nestjs/common';
import { deliveryView, eventView, pageSchema, wholeEvent, type DeliveryView, type EventView, type Page } from '@posthorn/contracts';
import { Answers, Problem, Scoped } from '@posthorn/service-kit';
import { Database } from './database.js';
import { deliveriesOfEventQuery, listDeliveriesOfEvent, type DeliveriesOfEventQuery } from './deliveries.js';
import { dayOfEvent, eventsQuery, listEvents, readEvent, type EventsQuery } from './events.js';

@Controller('v1/tenants/:tenant/events')
export class EventsController {
  constructor(private readonly database: Database) {}

  @Get()
  @Scoped('audit:read')
  @Answers(200, pageSchema(eventView), 'The accepted events, newest first, without their data.')
  list(@Param('tenant') tenant: string, @Query({ schema: eventsQuery }) query: EventsQuery): Promise<Page<EventView>> {
    return listEvents(this.database, tenant, query);
  }

  @Get(':id')
  @Scoped('audit:read')
  @Answers(200, wholeEvent, 'An event, with its data.')
  @Header('content-type', 'application/json; charset=utf-8')
  async read(@Param('tenant') tenant: string, @Param('id') id: string): Promise<Buffer> {
    return (await readEvent(this.database, tenant, id)) ?? unknownEvent();
  }

  @Get(':id/deliveries')
  @Scoped('audit:read')
  @Answers(200, pageSchema(deliveryView), 'Its deliveries, newest first.', { operationId: 'listEventDeliveries' })
  async deliveries(
    @Param('tenant') tenant: string,
    @Param('id') id: string,
    @Query({ schema: deliveriesOfEventQuery }) query: DeliveriesOfEventQuery,
  ): Promise<Page<DeliveryView>> {
    const day = (await dayOfEvent(this.database, tenant, id)) ?? unknownEvent();
    return listDeliveriesOfEvent(this.database, { tenant, id, day }, query);
  }
}

export const unknownEvent = (): never => {
  throw new Problem('not_found', 'no event of this tenant has this id');
};
