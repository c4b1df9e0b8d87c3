import { Body, Controller, Delete, Get, Param, Patch, Post, Query, Req, Res } from '@nestjs/common';
import {
  createdSubscription,
  createdSubscriptions,
  createSubscriptionBody,
  createSubscriptionsBody,
  enabledSubscription,
  historyEntry,
  historyQuery,
  pageSchema,
  rotateSecretBody,
  secretView,
  subscriptionQuery,
  subscriptionsQuery,
  subscriptionView,
  updateSubscriptionBody,
  type CreatedSubscription,
  type CreatedSubscriptions,
  type CreateSubscriptionBody,
  type EnabledSubscription,
  type HistoryEntry,
  type Page,
  type RotateSecretBody,
  type SecretView,
  type SubscriptionView,
  type UpdateSubscriptionBody,
} from '@posthorn/contracts';
import { Answers, Scoped, type z } from '@posthorn/service-kit';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { pageRequest, type PageQuery } from '../page.js';
import { etagOf } from '../preconditions.js';
import { requestedBy } from '../requested.js';
import { tellWritten } from '../written.js';
import { BatchCreation } from './batch-creation.js';
import { SubscriptionHistory } from './subscription-history.js';
import { Subscriptions, type Target } from './subscriptions.js';

/** Nobody between here and the client keeps an answer that holds a secret. */
const keepNoCopy = (reply: FastifyReply): void => void reply.header('cache-control', 'no-store');

@Controller('v1/tenants/:tenant/subscriptions')
export class SubscriptionsController {
  constructor(
    private readonly subscriptions: Subscriptions,
    private readonly batches: BatchCreation,
    private readonly history: SubscriptionHistory,
  ) {}

  @Post()
  @Scoped('registry:write')
  @Answers(201, createdSubscription, 'Makes a subscription. Its secret, or public key, is in the answer.')
  async create(
    @Param('tenant') tenant: string,
    @Body({ schema: createSubscriptionBody }) body: CreateSubscriptionBody,
    @Req() request: FastifyRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<CreatedSubscription> {
    keepNoCopy(reply);
    return tellWritten(reply, await this.subscriptions.create(tenant, body, requestedBy(request)));
  }

  @Post('batch')
  @Scoped('registry:write')
  @Answers(200, createdSubscriptions, 'Makes up to 1,000 subscriptions, each judged and answered on its own, in their order.')
  async createMany(
    @Param('tenant') tenant: string,
    @Body({ schema: createSubscriptionsBody }) { subscriptions }: z.infer<typeof createSubscriptionsBody>,
    @Req() request: FastifyRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<CreatedSubscriptions> {
    keepNoCopy(reply);
    return tellWritten(reply, await this.batches.create(tenant, subscriptions, requestedBy(request)));
  }

  @Get()
  @Scoped('registry:read')
  @Answers(200, pageSchema(subscriptionView), 'The subscriptions, oldest first.')
  list(
    @Param('tenant') tenant: string,
    @Query({ schema: subscriptionsQuery }) { event_type, enabled, q, ...page }: z.infer<typeof subscriptionsQuery>,
  ): Promise<Page<SubscriptionView>> {
    return this.subscriptions.list(tenant, pageRequest('subscriptions', page), { eventType: event_type, enabled, nameContains: q });
  }

  @Get(':id')
  @Scoped('registry:read')
  @Answers(200, subscriptionView, 'A subscription, as it is or, with `at`, as it was then.')
  async get(
    @Param() target: Target,
    @Query({ schema: subscriptionQuery }) { at }: z.infer<typeof subscriptionQuery>,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<SubscriptionView> {
    if (at !== undefined) return this.history.at(target, at);
    const view = await this.subscriptions.get(target);
    void reply.header('etag', etagOf(view.version));
    return view;
  }

  @Get(':id/history')
  @Scoped('registry:read')
  @Answers(200, pageSchema(historyEntry), 'Who changed what, oldest first; also of a subscription that has been deleted.')
  historyOf(@Param() target: Target, @Query({ schema: historyQuery }) query: PageQuery): Promise<Page<HistoryEntry>> {
    return this.history.list(target, query);
  }

  @Get(':id/secret')
  @Scoped('registry:write')
  @Answers(200, secretView, 'What its requests are verified with: the newest secret, and those before it that still sign.')
  secret(@Param() target: Target, @Res({ passthrough: true }) reply: FastifyReply): Promise<SecretView> {
    keepNoCopy(reply);
    return this.subscriptions.secretOf(target);
  }

  @Post(':id/rotate-secret')
  @Scoped('registry:write')
  @Answers(200, secretView, 'Gives it a new secret; the one before signs too until the overlap is over.')
  async rotateSecret(
    @Param() target: Target,
    @Body({ schema: rotateSecretBody.optional() }) body: RotateSecretBody | undefined,
    @Req() request: FastifyRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<SecretView> {
    keepNoCopy(reply);
    return tellWritten(reply, await this.subscriptions.rotateSecret(target, body ?? {}, requestedBy(request)));
  }

  @Patch(':id')
  @Scoped('registry:write')
  @Answers(200, subscriptionView, 'Changes what is present, `policy` member by member; null removes, "***" keeps a secret.')
  async update(
    @Param() target: Target,
    @Body({ schema: updateSubscriptionBody }) body: UpdateSubscriptionBody,
    @Req() request: FastifyRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<SubscriptionView> {
    return tellWritten(reply, await this.subscriptions.update(target, body, requestedBy(request)));
  }

  @Post(':id/enable')
  @Scoped('registry:write')
  @Answers(200, enabledSubscription, 'Enables it, and says what it was not told meanwhile.')
  async enable(
    @Param() target: Target,
    @Req() request: FastifyRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<EnabledSubscription> {
    return tellWritten(reply, await this.subscriptions.enable(target, requestedBy(request)));
  }

  @Post(':id/disable')
  @Scoped('registry:write')
  @Answers(200, subscriptionView, 'Disables it: what is under way or waits for a retry is cancelled.')
  async disable(
    @Param() target: Target,
    @Req() request: FastifyRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<SubscriptionView> {
    return tellWritten(reply, await this.subscriptions.disable(target, requestedBy(request)));
  }

  @Delete(':id')
  @Scoped('registry:write')
  @Answers(204, undefined, 'Deletes it: what is under way or waits for a retry is cancelled.')
  async delete(
    @Param() target: Target,
    @Req() request: FastifyRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<void> {
    tellWritten(reply, await this.subscriptions.delete(target, requestedBy(request)));
  }
}
