import { Body, Controller, Delete, Get, Headers, HttpCode, Param, Patch, Post, Query, Req, Res } from '@nestjs/common';
import { createSubscriptionBody, EVENT_TYPE_NAME, updateSubscriptionBody, type Page, type SubscriptionView } from '@posthorn/contracts';
import { parseOrRefuse, Scoped } from '@posthorn/service-kit';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';
import { pageQuery, pageRequest } from '../page.js';
import { etagOf, parseIfMatch } from '../preconditions.js';
import { refuseUnstorable } from '../storable-text.js';
import { tellWritten } from '../written.js';
import { Subscriptions, type Target, type Written } from './subscriptions.js';

const listQuery = z.strictObject({
  ...pageQuery,
  event_type: z.string().max(256).regex(EVENT_TYPE_NAME, 'an event type like invoice.paid').optional(),
  enabled: z
    .enum(['true', 'false'])
    .transform((text) => text === 'true')
    .optional(),
  q: z.string().min(1).max(128).optional(),
});

/** Members of a path below `…/subscriptions`. */
type Path = { readonly tenant: string; readonly id: string };

const targetOf = ({ tenant, id }: Path, ifMatch: string | undefined): Target => ({
  tenant,
  id,
  precondition: parseIfMatch(ifMatch),
});

const told = (reply: FastifyReply, { view, standing }: Written): SubscriptionView => {
  tellWritten(reply, standing);
  return view;
};

@Controller('v1/tenants/:tenant/subscriptions')
export class SubscriptionsController {
  constructor(private readonly subscriptions: Subscriptions) {}

  @Post()
  @Scoped('registry:write')
  async create(
    @Param('tenant') tenant: string,
    @Body() body: unknown,
    @Req() { caller }: FastifyRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<SubscriptionView & { readonly secret: string }> {
    const { secret, ...written } = await this.subscriptions.create(tenant, parseOrRefuse(createSubscriptionBody, body), caller.actor);
    void reply.header('cache-control', 'no-store');
    return { ...told(reply, written), secret };
  }

  @Get()
  @Scoped('registry:read')
  list(@Param('tenant') tenant: string, @Query() query: unknown): Promise<Page<SubscriptionView>> {
    const { event_type, enabled, q, ...page } = refuseUnstorable(parseOrRefuse(listQuery, query));
    return this.subscriptions.list(tenant, pageRequest(page), { eventType: event_type, enabled, nameContains: q });
  }

  @Get(':id')
  @Scoped('registry:read')
  async get(@Param() { tenant, id }: Path, @Res({ passthrough: true }) reply: FastifyReply): Promise<SubscriptionView> {
    const view = await this.subscriptions.get(tenant, id);
    void reply.header('etag', etagOf(view.version));
    return view;
  }

  @Get(':id/secret')
  @Scoped('registry:write')
  async secret(@Param() { tenant, id }: Path, @Res({ passthrough: true }) reply: FastifyReply): Promise<{ readonly secret: string }> {
    const secret = await this.subscriptions.secretOf(tenant, id);
    void reply.header('cache-control', 'no-store');
    return { secret };
  }

  @Patch(':id')
  @Scoped('registry:write')
  async update(
    @Param() path: Path,
    @Headers('if-match') ifMatch: string | undefined,
    @Body() body: unknown,
    @Req() { caller }: FastifyRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<SubscriptionView> {
    const changes = parseOrRefuse(updateSubscriptionBody, body);
    return told(reply, await this.subscriptions.update(targetOf(path, ifMatch), changes, caller.actor));
  }

  @Post(':id/enable')
  @Scoped('registry:write')
  @HttpCode(200)
  async enable(
    @Param() path: Path,
    @Headers('if-match') ifMatch: string | undefined,
    @Req() { caller }: FastifyRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<SubscriptionView> {
    return told(reply, await this.subscriptions.enable(targetOf(path, ifMatch), caller.actor));
  }

  @Post(':id/disable')
  @Scoped('registry:write')
  @HttpCode(200)
  async disable(
    @Param() path: Path,
    @Headers('if-match') ifMatch: string | undefined,
    @Req() { caller }: FastifyRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<SubscriptionView> {
    return told(reply, await this.subscriptions.disable(targetOf(path, ifMatch), caller.actor));
  }

  @Delete(':id')
  @Scoped('registry:write')
  @HttpCode(204)
  async delete(
    @Param() path: Path,
    @Headers('if-match') ifMatch: string | undefined,
    @Req() { caller }: FastifyRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<void> {
    tellWritten(reply, await this.subscriptions.delete(targetOf(path, ifMatch), caller.actor));
  }
}
