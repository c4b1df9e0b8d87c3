import { Controller, Get, Param, Query } from '@nestjs/common';
import { pageSchema, rejectedEventView, wholeRejectedEvent, type Page, type RejectedEventView, type WholeRejectedEventView } from '@posthorn/contracts';
import { Answers, Problem, Scoped } from '@posthorn/service-kit';
import { Database } from './database.js';
import {
  listRejectedEvents,
  readRejectedEvent,
  rejectedEventsQuery,
  wholeViewOf,
  type RejectedEventsQuery,
  type Whose,
} from './rejected-events.js';

@Controller('v1/tenants/:tenant/rejected-events')
export class RejectedEventsController {
  constructor(private readonly database: Database) {}

  @Get()
  @Scoped('audit:read')
  @Answers(200, pageSchema(rejectedEventView), 'The events that were refused, newest first, without what was refused.')
  list(@Param('tenant') tenant: string, @Query({ schema: rejectedEventsQuery }) query: RejectedEventsQuery): Promise<Page<RejectedEventView>> {
    return listRejectedEvents(this.database, { tenant }, query);
  }

  @Get(':id')
  @Scoped('audit:read')
  @Answers(200, wholeRejectedEvent, 'A refused event, with its headers and what was refused.')
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
  @Answers(200, pageSchema(rejectedEventView), 'The refused events of all tenants and of none, newest first, without what was refused.', { operationId: 'listAllRejectedEvents' })
  list(@Query({ schema: rejectedEventsQuery }) query: RejectedEventsQuery): Promise<Page<RejectedEventView>> {
    return listRejectedEvents(this.database, 'all', query);
  }

  @Get(':id')
  @Scoped('audit:read', { allTenants: true })
  @Answers(200, wholeRejectedEvent, 'A refused event of any tenant or of none, with its headers and what was refused.', { operationId: 'getAnyRejectedEvent' })
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
