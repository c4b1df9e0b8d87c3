import { Body, Controller, Param, Post, Req, Res } from '@nestjs/common';
import { deliveryView, redeliverBody, type DeliveryView, type RedeliverBody } from '@posthorn/contracts';
import { Answers, Scoped } from '@posthorn/service-kit';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { Redelivery } from './redelivery.js';
import { requestedBy, tell } from './requested.js';

@Controller('v1/tenants/:tenant/deliveries')
export class RedeliveryController {
  constructor(private readonly redelivery: Redelivery) {}

  @Post(':id/redeliver')
  @Scoped('audit:write')
  @Answers(202, deliveryView, 'Sends it again, in a new round. Refused while it is under way, unless forced.')
  async redeliver(
    @Param('tenant') tenant: string,
    @Param('id') id: string,
    @Body({ schema: redeliverBody }) { force }: RedeliverBody,
    @Req() request: FastifyRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<DeliveryView> {
    return tell(reply, await this.redelivery.redeliver(tenant, id, force, requestedBy(request)));
  }

  @Post(':id/cancel')
  @Scoped('audit:write')
  @Answers(202, deliveryView, 'Makes no further attempt. Refused when it has ended.')
  async cancel(
    @Param('tenant') tenant: string,
    @Param('id') id: string,
    @Req() request: FastifyRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<DeliveryView> {
    return tell(reply, await this.redelivery.cancel(tenant, id, requestedBy(request)));
  }
}
