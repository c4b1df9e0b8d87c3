import { Readable } from 'node:stream';
import { Controller, Get, Param, Query, Req, Res } from '@nestjs/common';
import { tailed, tailHeaders, tailQuery, type TailQuery } from '@posthorn/contracts';
import { Answers, Scoped, Takes, whileAllowed } from '@posthorn/service-kit';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { serverSentEvents } from './server-sent-events.js';
import { Tail } from './tail.js';

const EVENT_STREAM = 'text/event-stream';
/** Who has not read by then that the tail is over is cut off: it may have stopped reading long ago, and the process may want to end. */
const END_MS = 2_000;

@Controller('v1/tenants/:tenant/deliveries')
export class TailController {
  constructor(private readonly tail: Tail) {}

  @Get('tail')
  @Scoped('audit:read')
  @Takes({ headers: tailHeaders })
  @Answers(200, tailed, 'What happens to deliveries, as it happens: Server-Sent Events with these data, until either side ends it.', {
    operationId: 'tailDeliveries',
    mediaType: EVENT_STREAM,
  })
  async open(
    @Param('tenant') tenant: string,
    @Query({ schema: tailQuery }) query: TailQuery,
    @Req() request: FastifyRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<Readable> {
    const { caller } = request;
    const over = new AbortController();
    const after = request.headers['last-event-id'];
    const watch = await this.tail.open(
      { tenant, ...query },
      { caller, after: typeof after === 'string' && after !== '' ? after : undefined, signal: over.signal },
    );
    const allowed = whileAllowed(request.authorizeAgain, (refusal) => over.abort(refusal));
    let cutOff: NodeJS.Timeout | undefined;
    void watch.closed.then(() => (cutOff = setTimeout(() => reply.raw.destroy(), END_MS)));
    const gone = (): void => {
      allowed();
      over.abort();
      void watch.closed.then(() => clearTimeout(cutOff));
    };
    if (reply.raw.closed) gone();
    else reply.raw.once('close', gone);
    // For proxies that would collect an answer before they hand it on.
    void reply.headers({ 'content-type': EVENT_STREAM, 'cache-control': 'no-store', 'x-accel-buffering': 'no' });
    return Readable.from(serverSentEvents(watch.tidings()));
  }
}
