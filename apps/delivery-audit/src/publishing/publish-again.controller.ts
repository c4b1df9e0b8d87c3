import type { IncomingHttpHeaders } from 'node:http';
import { Controller, Param, Post, Query, Req, Res } from '@nestjs/common';
import { eventBodies, publishedEvent, publishHeaders } from '@posthorn/contracts';
import { Answers, RawBody, Scoped, Takes } from '@posthorn/service-kit';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';
import type { EventRequest } from './original.js';
import { PublishAgain } from './publish-again.js';

const publishAgainQuery = z.strictObject({ force: z.stringbool({ truthy: ['true'], falsy: ['false'], error: 'true or false' }).default(false).describe('`true`: also when it was published before') });

/** In whose name, and what holds for the request whatever the event. */
const OF_REQUEST: ReadonlySet<string> = new Set(['authorization', 'idempotency-key', 'traceparent', 'tracestate', 'posthorn-registry-position']);

const isOfEvent = (name: string): boolean => name.startsWith('ce-') || name === 'content-type' || name === 'content-encoding';

const chosen = (headers: IncomingHttpHeaders, isChosen: (name: string) => boolean): Record<string, string> =>
  Object.fromEntries(Object.entries(headers).flatMap(([name, value]) => (typeof value === 'string' && isChosen(name) ? [[name, value]] : [])));

/** Nothing but attributes is an event too, in the binary mode of CloudEvents. */
const correctedBy = ({ headers, body }: FastifyRequest): EventRequest | undefined => {
  const bytes = Buffer.isBuffer(body) ? body : Buffer.alloc(0);
  const isEvent = bytes.length > 0 || Object.keys(headers).some((name) => name.startsWith('ce-'));
  return isEvent ? { headers: chosen(headers, isOfEvent), body: bytes } : undefined;
};

@Controller('v1/tenants/:tenant/rejected-events')
export class PublishAgainController {
  constructor(private readonly publishAgain: PublishAgain) {}

  @Post(':id/publish')
  @Scoped('events:write')
  @RawBody()
  @Takes({ body: eventBodies, isOptional: true, headers: publishHeaders })
  @Answers(202, publishedEvent, 'Publishes it after all: corrected, or without a body as it came.')
  async publish(
    @Param('tenant') tenant: string,
    @Param('id') id: string,
    @Query({ schema: publishAgainQuery }) { force }: z.output<typeof publishAgainQuery>,
    @Req() request: FastifyRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<Buffer> {
    const { status, headers, body } = await this.publishAgain.publish({
      tenant,
      id,
      caller: request.caller,
      force,
      corrected: correctedBy(request),
      headers: { ...chosen(request.headers, (name) => OF_REQUEST.has(name)), 'x-request-id': request.id },
    });
    void reply.code(status).headers(headers);
    return body;
  }
}
