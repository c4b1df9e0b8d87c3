import { Body, Controller, Get, Param, Post, Query, Req, Res } from '@nestjs/common';
import {
  createdReplay,
  pageSchema,
  replayBody,
  replaysQuery,
  replayView,
  wholeReplay,
  type CreatedReplay,
  type Page,
  type ReplayBody,
  type ReplaysQuery,
  type ReplayView,
  type WholeReplay,
} from '@posthorn/contracts';
import { Answers, Scoped } from '@posthorn/service-kit';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { requestedBy, tell } from '../asking/requested.js';
import { Replays, type ReplayRequest } from './replays.js';

type Target = { readonly tenant: string; readonly id: string };

@Controller('v1/tenants/:tenant/replays')
export class ReplaysController {
  constructor(private readonly replays: Replays) {}

  @Post()
  @Scoped('audit:write')
  @Answers(202, createdReplay, 'Begins to send again what was accepted in a time; or, with `dry_run`, only tells what that would be.')
  async request(
    @Param('tenant') tenant: string,
    @Body({ schema: replayBody }) body: ReplayBody,
    @Req() request: FastifyRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<CreatedReplay> {
    return tell(reply, await this.replays.request(tenant, body, requestedBy(request)));
  }

  @Get()
  @Scoped('audit:read')
  @Answers(200, pageSchema(replayView), 'The replays, newest first.')
  list(@Param('tenant') tenant: string, @Query({ schema: replaysQuery }) query: ReplaysQuery): Promise<Page<ReplayView>> {
    return this.replays.list(tenant, query);
  }

  @Get(':id')
  @Scoped('audit:read')
  @Answers(200, wholeReplay, 'A replay, how far it is, and who did what to it.')
  get(@Param() { tenant, id }: Target): Promise<WholeReplay> {
    return this.replays.get(tenant, id);
  }

  @Post(':id/pause')
  @Scoped('audit:write')
  @Answers(202, replayView, 'Asks for nothing more until it is resumed.')
  pause(@Param() target: Target, @Req() request: FastifyRequest, @Res({ passthrough: true }) reply: FastifyReply): Promise<ReplayView> {
    return this.#change(target, 'pause', request, reply);
  }

  @Post(':id/resume')
  @Scoped('audit:write')
  @Answers(202, replayView, 'Goes on where it was paused.')
  resume(@Param() target: Target, @Req() request: FastifyRequest, @Res({ passthrough: true }) reply: FastifyReply): Promise<ReplayView> {
    return this.#change(target, 'resume', request, reply);
  }

  @Post(':id/cancel')
  @Scoped('audit:write')
  @Answers(202, replayView, 'Ends it: what was asked for is sent, nothing more is asked for.')
  cancel(@Param() target: Target, @Req() request: FastifyRequest, @Res({ passthrough: true }) reply: FastifyReply): Promise<ReplayView> {
    return this.#change(target, 'cancel', request, reply);
  }

  async #change({ tenant, id }: Target, kind: ReplayRequest, request: FastifyRequest, reply: FastifyReply): Promise<ReplayView> {
    return tell(reply, await this.replays.change(tenant, id, kind, requestedBy(request)));
  }
}
