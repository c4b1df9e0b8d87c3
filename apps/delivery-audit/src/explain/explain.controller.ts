import { Controller, Get, Param, Query } from '@nestjs/common';
import { explanation, type Explanation } from '@posthorn/contracts';
import { Answers, Problem, Scoped } from '@posthorn/service-kit';
import { z } from 'zod';
import { Database } from '../query/database.js';
import { Patience } from '../registry/patience.js';
import { gatherEvidence } from './evidence.js';
import { explain } from './explain.js';

export const explainQuery = z.strictObject({ subscription: z.string().min(1).max(256).describe('Its id') });
export type ExplainQuery = z.output<typeof explainQuery>;

@Controller('v1/tenants/:tenant/events')
export class ExplainController {
  constructor(
    private readonly database: Database,
    private readonly patience: Patience,
  ) {}

  @Get(':id/explain')
  @Scoped('audit:read')
  @Answers(200, explanation, 'Why it did, or did not, reach a subscription, by the configuration of that time.', { operationId: 'explainEvent' })
  async explain(@Param('tenant') tenant: string, @Param('id') id: string, @Query({ schema: explainQuery }) { subscription }: ExplainQuery): Promise<Explanation> {
    const evidence = await this.patience.find(() => gatherEvidence(this.database, { tenant, eventId: id, subscriptionId: subscription }));
    if (evidence === undefined) throw new Problem('not_found', 'no subscription of this tenant has this id');
    return explain(evidence) ?? unknownEvent();
  }
}

const unknownEvent = (): never => {
  throw new Problem('not_found', 'no event of this tenant has this id');
};
