import { Controller, HttpCode, Param, Post, Req } from '@nestjs/common';
import { Scoped } from '@posthorn/service-kit';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { RestDoor } from './rest-door.js';

const ACCEPTED = 202;
const NOTHING = Buffer.alloc(0);

/** A whole batch. A single event that is too large is told so by its own limit, and can be shown among the rejected. */
export const BODY_LIMIT_BYTES = 8 * 1024 * 1024;

/** Bodies are read as they are, whatever their type: what they hold is decided where events from Kafka are read, too. */
export const rawBodies = (fastify: FastifyInstance): void => {
  fastify.removeAllContentTypeParsers();
  fastify.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, body, done) => done(null, body));
};

const bodyOf = ({ body }: FastifyRequest): Buffer => (Buffer.isBuffer(body) ? body : NOTHING);

@Controller('v1/tenants/:tenant/events')
export class EventsController {
  constructor(private readonly door: RestDoor) {}

  @Post()
  @Scoped('events:write')
  @HttpCode(ACCEPTED)
  publish(@Param('tenant') tenant: string, @Req() request: FastifyRequest): Promise<object> {
    return this.door.publish({ tenant, headers: request.headers, body: bodyOf(request) });
  }

  @Post('batch')
  @Scoped('events:write')
  @HttpCode(ACCEPTED)
  publishBatch(@Param('tenant') tenant: string, @Req() request: FastifyRequest): Promise<object> {
    return this.door.publishBatch({ tenant, headers: request.headers, body: bodyOf(request) });
  }
}
