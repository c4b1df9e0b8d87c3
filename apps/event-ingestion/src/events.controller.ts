import type { IncomingMessage } from 'node:http';
import { Controller, Param, Post, Req } from '@nestjs/common';
import { batchBodies, batchHeaders, batchResults, eventBodies, publishedEvent, publishHeaders, type BatchResults, type PublishedEvent } from '@posthorn/contracts';
import { Answers, Problem, Scoped, Takes } from '@posthorn/service-kit';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import type { HttpHeaders } from './acceptance/parse-binary.js';
import { isGzipped } from './content-coding.js';
import { BODY_LIMIT_BYTES, type PublishRequest, RestDoor } from './rest-door.js';
import { type Place, Room } from './room.js';

declare module 'fastify' {
  interface FastifyRequest {
    /** What the body has of the room for all bodies. */
    place: Place | undefined;
  }
}

const NOTHING = Buffer.alloc(0);

/** Bodies of requests that are not answered yet, all together. */
const BODIES_BYTES = 48 * 1024 * 1024;
/** Leaves Kafka some of the time within which an answer is promised. */
const ROOM_WITHIN_MS = 1_000;

/** As far as can be told before it is read. One that is coded needs room for what it is decoded to, until that is known. */
const roomFor = ({ headers }: FastifyRequest): number => {
  const length = headers['content-length'] === undefined ? 0 : Number(headers['content-length']);
  return isGzipped(headers) || headers['transfer-encoding'] !== undefined ? length + BODY_LIMIT_BYTES : length;
};

/**
 * Bodies are read as they are, whatever their type: what they hold is decided where events from Kafka are read, too. And they are not
 * read before there is room for them: meanwhile they stay with who sends them.
 */
export const rawBodies = (fastify: FastifyInstance): void => {
  fastify.removeAllContentTypeParsers();
  fastify.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, body, done) => done(null, body));

  const room = new Room(BODIES_BYTES);
  fastify.decorateRequest('place', undefined);
  fastify.addHook('preParsing', async (request, reply, payload) => {
    const bytes = roomFor(request);
    // What is too large is refused unread.
    if (bytes === 0 || Number(request.headers['content-length']) > BODY_LIMIT_BYTES) return payload;
    const place = await room.enter(bytes, ROOM_WITHIN_MS);
    if (place === undefined) throw new Problem('unavailable', 'There is no room for the body among those being published. Try again.');
    request.place = place;
    if (reply.raw.closed) place.leave();
    else reply.raw.once('close', place.leave);
    return payload;
  });
};

/** Headers that say what the event is. Of one that is repeated Node would keep the first, or join them. */
const isOfEvent = (name: string): boolean => name === 'content-type' || name.startsWith('ce-');

/** With every value of these, where they are repeated. */
const headersOf = (request: IncomingMessage): HttpHeaders => {
  const { headers, rawHeaders } = request;
  if (rawHeaders.length === 2 * Object.keys(headers).length) return headers;
  const repeated = Object.entries(request.headersDistinct).filter(([name, values = []]) => isOfEvent(name) && values.length > 1);
  return { ...headers, ...Object.fromEntries(repeated) };
};

const requestOf = (tenant: string, { caller, raw, body, place }: FastifyRequest): PublishRequest => ({
  tenant,
  actor: caller.actor,
  headers: headersOf(raw),
  body: Buffer.isBuffer(body) ? body : NOTHING,
  place,
});

@Controller('v1/tenants/:tenant/events')
export class EventsController {
  constructor(private readonly door: RestDoor) {}

  @Post()
  @Scoped('events:write')
  @Takes({ body: eventBodies, headers: publishHeaders })
  @Answers(202, publishedEvent, 'Publishes an event.', { operationId: 'publishEvent' })
  publish(@Param('tenant') tenant: string, @Req() request: FastifyRequest): Promise<PublishedEvent> {
    return this.door.publish(requestOf(tenant, request));
  }

  @Post('batch')
  @Scoped('events:write')
  @Takes({ body: batchBodies, headers: batchHeaders })
  @Answers(202, batchResults, 'Publishes up to 1,000 events, each judged and answered on its own, in their order.', { operationId: 'publishEvents' })
  publishBatch(@Param('tenant') tenant: string, @Req() request: FastifyRequest): Promise<BatchResults> {
    return this.door.publishBatch(requestOf(tenant, request));
  }
}
