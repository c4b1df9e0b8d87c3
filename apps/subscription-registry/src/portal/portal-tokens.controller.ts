import { Body, Controller, Param, Post, Req, Res } from '@nestjs/common';
import { createPortalTokenBody, portalToken, type CreatePortalTokenBody, type PortalToken } from '@posthorn/contracts';
import { Answers, Scoped } from '@posthorn/service-kit';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { PortalTokens } from './portal-tokens.js';

@Controller('v1/tenants/:tenant/portal-tokens')
export class PortalTokensController {
  constructor(private readonly tokens: PortalTokens) {}

  @Post()
  @Scoped('admin')
  @Answers(201, portalToken, 'Makes a token with which the people of this tenant can work for an hour.', { changes: false })
  create(
    @Param('tenant') tenant: string,
    @Body({ schema: createPortalTokenBody }) body: CreatePortalTokenBody,
    @Req() { caller }: FastifyRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<PortalToken> {
    void reply.header('cache-control', 'no-store');
    return this.tokens.create(caller, tenant, body);
  }
}
