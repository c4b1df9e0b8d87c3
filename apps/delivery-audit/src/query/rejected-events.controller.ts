import { Controller, Get, Param, Query } from '@nestjs/common';
import type { Page } from '@posthorn/contracts';
import { Problem, Scoped } from '@posthorn/service-kit';
import { Database } from './database.js';
import {
  listRejectedEvents,
  readRejectedEvent,
  rejectedEventsQuery,
  wholeViewOf,
  type RejectedEventsQuery,
  type RejectedEventView,
  type Whose,
  type WholeRejectedEventView,
} from './rejected-events.js';

@Controller('v1/tenants/:tenant/rejected-events')
export class RejectedEventsController {
  constructor(private readonly database: Database) {}

  @Get()
  @Scoped('audit:read')
  list(@Param('tenant') tenant: string, @Query({ schema: rejectedEventsQuery }) query: RejectedEventsQuery): Promise<Page<RejectedEventView>> {
    return listRejectedEvents(this.database, { tenant }, query);
  }

  @Get(':id')
  @Scoped('audit:read')
  read(@Param('tenant') tenant: string, @Param('id') id: string): Promise<WholeRejectedEventView> {
    return read(this.database, { tenant }, id);
  }
}

/** Also those that name no tenant, or one that there is not: whoever looks after the whole finds them here. */
@Controller('v1/rejected-events')
export class AllRejectedEventsController {
  constructor(private readonly database: Database) {}

  @Get()
  @Scoped('audit:read', { allTenants: true })
  list(@Query({ schema: rejectedEventsQuery }) query: RejectedEventsQuery): Promise<Page<RejectedEventView>> {
    return listRejectedEvents(this.database, 'all', query);
  }

  @Get(':id')
  @Scoped('audit:read', { allTenants: true })
  read(@Param('id') id: string): Promise<WholeRejectedEventView> {
    return read(this.database, 'all', id);
  }
}

const read = async (database: Database, whose: Whose, id: string): Promise<WholeRejectedEventView> => {
  const found = await readRejectedEvent(database, whose, id);
  return found ? wholeViewOf(found) : unknownRejectedEvent();
};

const unknownRejectedEvent = (): never => {
  throw new Problem('not_found', 'no rejected event has this id');
};
