import type { Readable } from 'node:stream';
import { Controller, Get, Param, Query, Req, Res } from '@nestjs/common';
import { deliveryView, exportedAttempt, wholeEvent } from '@posthorn/contracts';
import { Answers, Scoped, whileAllowed } from '@posthorn/service-kit';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';
import { Database } from '../query/database.js';
import { deliveriesQuery } from '../query/deliveries.js';
import { eventsQuery } from '../query/events.js';
import { exportFormats, type Exported, type ExportFormat } from './exported.js';
import { exportedAttempts, exportedDeliveries } from './exported-deliveries.js';
import { exportedEvents } from './exported-events.js';
import { Exporter } from './exporter.js';

const format = z.enum(exportFormats).optional().describe('Absent: `csv` for who accepts `text/csv`, else `ndjson`');
export const exportEventsQuery = eventsQuery.omit({ page_size: true, page_token: true }).extend({ format });
export const exportDeliveriesQuery = deliveriesQuery.omit({ page_size: true, page_token: true }).extend({ format });
type ExportEventsQuery = z.output<typeof exportEventsQuery>;
type ExportDeliveriesQuery = z.output<typeof exportDeliveriesQuery>;

const NDJSON = 'application/x-ndjson';
const CONTENT_TYPES: Readonly<Record<ExportFormat, string>> = { ndjson: NDJSON, csv: 'text/csv; charset=utf-8; header=present' };

const AS_FILE = { mediaType: NDJSON, alsoAs: ['text/csv'] } as const;

const formatOf = (asked: ExportFormat | undefined, { headers }: FastifyRequest): ExportFormat =>
  asked ?? (headers.accept?.includes('text/csv') === true ? 'csv' : 'ndjson');

@Controller('v1/tenants/:tenant')
export class ExportController {
  constructor(
    private readonly database: Database,
    private readonly exporter: Exporter,
  ) {}

  @Get('events/export')
  @Scoped('audit:read')
  @Answers(200, wholeEvent, 'All events that a search finds, newest first, with their data: as lines of JSON or CSV.', { operationId: 'exportEvents', ...AS_FILE })
  events(
    @Param('tenant') tenant: string,
    @Query({ schema: exportEventsQuery }) { format, ...query }: ExportEventsQuery,
    @Req() request: FastifyRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<Readable> {
    return this.#send(tenant, exportedEvents(this.database, tenant, query), formatOf(format, request), request, reply);
  }

  @Get('deliveries/export')
  @Scoped('audit:read')
  @Answers(200, deliveryView, 'All deliveries that a search finds, newest first: as lines of JSON or CSV.', { operationId: 'exportDeliveries', ...AS_FILE })
  deliveries(
    @Param('tenant') tenant: string,
    @Query({ schema: exportDeliveriesQuery }) { format, ...query }: ExportDeliveriesQuery,
    @Req() request: FastifyRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<Readable> {
    return this.#send(tenant, exportedDeliveries(this.database, tenant, query), formatOf(format, request), request, reply);
  }

  @Get('deliveries/export/attempts')
  @Scoped('audit:read')
  @Answers(200, exportedAttempt, 'All attempts of the deliveries that a search finds: as lines of JSON or CSV.', { operationId: 'exportAttempts', ...AS_FILE })
  attempts(
    @Param('tenant') tenant: string,
    @Query({ schema: exportDeliveriesQuery }) { format, ...query }: ExportDeliveriesQuery,
    @Req() request: FastifyRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<Readable> {
    return this.#send(tenant, exportedAttempts(this.database, tenant, query), formatOf(format, request), request, reply);
  }

  async #send<Row>(tenant: string, exported: Exported<Row>, format: ExportFormat, request: FastifyRequest, reply: FastifyReply): Promise<Readable> {
    const stream = await this.exporter.begin(tenant, exported, format);
    stream.once('close', whileAllowed(request.authorizeAgain, () => stream.destroy(new Error('its reader may not read it any more'))));
    void reply.headers({
      'content-type': CONTENT_TYPES[format],
      'content-disposition': `attachment; filename="${exported.name}-${tenant.replaceAll(/[^a-z\d-]/g, '_')}.${format}"`,
      'cache-control': 'no-store',
    });
    return stream;
  }
}
