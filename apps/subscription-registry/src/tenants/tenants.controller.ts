import { Body, Controller, Get, Param, Post, Query, Req, Res } from '@nestjs/common';
import { createTenantBody, type Page, type TenantView } from '@posthorn/contracts';
import { parseOrRefuse, Scoped } from '@posthorn/service-kit';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';
import { pageQuery, pageRequest } from '../page.js';
import { etagOf } from '../preconditions.js';
import { tellWritten } from '../written.js';
import { Tenants } from './tenants.js';

const listQuery = z.strictObject(pageQuery);

@Controller('v1/tenants')
export class TenantsController {
  constructor(private readonly tenants: Tenants) {}

  @Post()
  @Scoped('admin', { allTenants: true })
  async create(
    @Body() body: unknown,
    @Req() request: FastifyRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<TenantView> {
    const { view, standing } = await this.tenants.create(parseOrRefuse(createTenantBody, body), request.caller.actor);
    tellWritten(reply, standing);
    return view;
  }

  @Get()
  @Scoped('registry:read')
  list(@Query() query: unknown): Promise<Page<TenantView>> {
    return this.tenants.list(pageRequest(parseOrRefuse(listQuery, query)));
  }

  @Get(':tenant')
  @Scoped('registry:read')
  async get(@Param('tenant') id: string, @Res({ passthrough: true }) reply: FastifyReply): Promise<TenantView> {
    const { view, version } = await this.tenants.get(id);
    void reply.header('etag', etagOf(version));
    return view;
  }
}
