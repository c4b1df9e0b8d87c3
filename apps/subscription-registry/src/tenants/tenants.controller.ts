import { Body, Controller, Delete, Get, Param, Patch, Post, Query, Req, Res } from '@nestjs/common';
import {
  createTenantBody,
  pageQuery,
  pageSchema,
  tenantView,
  updateTenantBody,
  type CreateTenantBody,
  type Page,
  type TenantView,
  type UpdateTenantBody,
} from '@posthorn/contracts';
import { Answers, Scoped, z } from '@posthorn/service-kit';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { pageRequest, type PageQuery } from '../page.js';
import { etagOf } from '../preconditions.js';
import { requestedBy } from '../requested.js';
import { tellWritten } from '../written.js';
import { TenantDeletion } from './tenant-deletion.js';
import { Tenants } from './tenants.js';

const listQuery = z.strictObject(pageQuery);

@Controller('v1/tenants')
export class TenantsController {
  constructor(
    private readonly tenants: Tenants,
    private readonly deletion: TenantDeletion,
  ) {}

  @Post()
  @Scoped('admin', { allTenants: true })
  @Answers(201, tenantView, 'Makes a tenant. Its id is never used again, not even after it was deleted.')
  async create(
    @Body({ schema: createTenantBody }) body: CreateTenantBody,
    @Req() request: FastifyRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<TenantView> {
    return tellWritten(reply, await this.tenants.create(body, requestedBy(request)));
  }

  @Get()
  @Scoped('registry:read')
  @Answers(200, pageSchema(tenantView), 'The tenants that the key has a right to, by id.')
  list(@Query({ schema: listQuery }) query: PageQuery, @Req() { caller }: FastifyRequest): Promise<Page<TenantView>> {
    return this.tenants.listFor(caller, pageRequest('tenants', query));
  }

  @Get(':tenant')
  @Scoped('registry:read')
  @Answers(200, tenantView, 'A tenant.')
  async get(@Param('tenant') id: string, @Res({ passthrough: true }) reply: FastifyReply): Promise<TenantView> {
    const view = await this.tenants.get(id);
    void reply.header('etag', etagOf(view.version));
    return view;
  }

  @Patch(':tenant')
  @Scoped('admin')
  @Answers(200, tenantView, 'Changes what is present, `settings` member by member.')
  async update(
    @Param('tenant') id: string,
    @Body({ schema: updateTenantBody }) body: UpdateTenantBody,
    @Req() request: FastifyRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<TenantView> {
    return tellWritten(reply, await this.tenants.update(id, body, requestedBy(request)));
  }

  @Delete(':tenant')
  @Scoped('admin', { allTenants: true })
  @Answers(204, undefined, 'Deletes a tenant and everything beneath it: subscriptions, event types, keys. Not the tenant `default`.')
  async delete(
    @Param('tenant') id: string,
    @Req() request: FastifyRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<void> {
    tellWritten(reply, await this.deletion.delete(id, requestedBy(request)));
  }
}
