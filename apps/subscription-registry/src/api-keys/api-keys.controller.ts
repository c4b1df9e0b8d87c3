import { Body, Controller, Delete, Get, Param, Post, Query, Req, Res } from '@nestjs/common';
import {
  apiKeysQuery,
  apiKeyView,
  createApiKeyBody,
  createdApiKey,
  pageSchema,
  type ApiKeyView,
  type CreateApiKeyBody,
  type CreatedApiKey,
  type Page,
} from '@posthorn/contracts';
import { Answers, Scoped } from '@posthorn/service-kit';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { z } from 'zod';
import { pageRequest } from '../page.js';
import { requestedBy } from '../requested.js';
import { tellWritten } from '../written.js';
import { ApiKeys } from './api-keys.js';

@Controller('v1/api-keys')
export class ApiKeysController {
  constructor(private readonly keys: ApiKeys) {}

  @Post()
  @Scoped('admin')
  @Answers(201, createdApiKey, 'Makes an API key; the key itself is told this once.')
  async create(
    @Body({ schema: createApiKeyBody }) body: CreateApiKeyBody,
    @Req() request: FastifyRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<CreatedApiKey> {
    void reply.header('cache-control', 'no-store');
    return tellWritten(reply, await this.keys.create(request.caller, body, requestedBy(request)));
  }

  @Get()
  @Scoped('admin')
  @Answers(200, pageSchema(apiKeyView), 'Lists API keys by age, the oldest first.')
  list(
    @Query({ schema: apiKeysQuery }) { tenant, ...page }: z.output<typeof apiKeysQuery>,
    @Req() { caller }: FastifyRequest,
  ): Promise<Page<ApiKeyView>> {
    return this.keys.list(caller, tenant, pageRequest('api_keys', page));
  }

  @Delete(':id')
  @Scoped('admin')
  @Answers(204, undefined, 'Revokes an API key, and with it the portal tokens that it made.')
  async revoke(
    @Param('id') id: string,
    @Req() request: FastifyRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<void> {
    tellWritten(reply, await this.keys.revoke(request.caller, id, requestedBy(request)));
  }
}
