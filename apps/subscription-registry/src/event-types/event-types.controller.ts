import { Body, Controller, Delete, Get, Headers, Param, Post, Put, Query, Req, Res } from '@nestjs/common';
import {
  eventTypesQuery,
  eventTypeView,
  importEventTypesBody,
  importQuery,
  importResult,
  pageSchema,
  putEventTypeBody,
  type EventTypeView,
  type ImportEventTypesBody,
  type ImportResult,
  type Page,
  type PutEventTypeBody,
} from '@posthorn/contracts';
import { Answers, Problem, Scoped, z } from '@posthorn/service-kit';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { pageRequest } from '../page.js';
import { etagOf } from '../preconditions.js';
import { requestedBy } from '../requested.js';
import { tellWritten } from '../written.js';
import { EventTypes, type PutOptions, type Target } from './event-types.js';

const versionQuery = z.strictObject({
  version: z.coerce.number().int().min(1).optional().describe('Of the schema; as the type was last while it had this one'),
});

@Controller('v1/tenants/:tenant/event-types')
export class EventTypesController {
  constructor(private readonly eventTypes: EventTypes) {}

  @Get()
  @Scoped('registry:read')
  @Answers(200, pageSchema(eventTypeView), 'The event types, by name.')
  list(
    @Param('tenant') tenant: string,
    @Query({ schema: eventTypesQuery }) { archived, q, ...page }: z.infer<typeof eventTypesQuery>,
  ): Promise<Page<EventTypeView>> {
    return this.eventTypes.list(tenant, pageRequest('event_types', page), { archived, nameContains: q });
  }

  @Post('import')
  @Scoped('registry:write')
  @Answers(200, importResult, 'Puts the event types of an OpenAPI document or of a list of schemas, all of them or none.')
  async import(
    @Param('tenant') tenant: string,
    @Query({ schema: importQuery }) { dry_run, new_versions }: z.infer<typeof importQuery>,
    @Body({ schema: importEventTypesBody }) body: ImportEventTypesBody,
    @Req() request: FastifyRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<ImportResult> {
    const options = { dryRun: dry_run ?? false, newVersions: new_versions ?? false };
    return tellWritten(reply, await this.eventTypes.import(tenant, body, options, requestedBy(request)));
  }

  @Get(':name')
  @Scoped('registry:read')
  @Answers(200, eventTypeView, 'An event type, as it is or, with `version`, as it was last while its schema had this one.')
  async get(
    @Param() target: Target,
    @Query({ schema: versionQuery }) query: z.infer<typeof versionQuery>,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<EventTypeView> {
    if (query.version !== undefined) return this.eventTypes.getVersion(target, query.version);
    const { view, version } = await this.eventTypes.get(target);
    void reply.header('etag', etagOf(version));
    return view;
  }

  @Put(':name')
  @Scoped('registry:write')
  @Answers(200, eventTypeView, 'Makes an event type (201), or replaces what is said of it.')
  async put(
    @Param() target: Target,
    @Headers('if-match') ifMatch: string | undefined,
    @Headers('if-none-match') ifNoneMatch: string | undefined,
    @Body({ schema: putEventTypeBody }) body: PutEventTypeBody,
    @Req() request: FastifyRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<EventTypeView> {
    const onlyIf = existenceAskedFor(ifMatch, ifNoneMatch);
    const { view, created } = tellWritten(reply, await this.eventTypes.put(target, body, requestedBy(request), { onlyIf }));
    if (created) void reply.code(201);
    return view;
  }

  @Delete(':name')
  @Scoped('registry:write')
  @Answers(204, undefined, 'Takes an event type out of the catalogue. Its events are still delivered, unless the tenant refuses unknown types.')
  async delete(
    @Param() target: Target,
    @Req() request: FastifyRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<void> {
    tellWritten(reply, await this.eventTypes.delete(target, requestedBy(request)));
  }
}

/** RFC 9110, 13.1.1 and 13.1.2: `*` is whatever there is. @throws {Problem} `malformed` */
const existenceAskedFor = (ifMatch: string | undefined, ifNoneMatch: string | undefined): PutOptions['onlyIf'] => {
  if (ifNoneMatch !== undefined && ifNoneMatch.trim() !== '*') throw new Problem('malformed', 'If-None-Match takes only *.');
  if (ifNoneMatch !== undefined) return 'absent';
  return ifMatch?.trim() === '*' ? 'present' : undefined;
};
