import { Body, Controller, Param, Post } from '@nestjs/common';
import { testedAttempt, testSubscriptionBody, type TestedAttempt, type TestSubscriptionBody } from '@posthorn/contracts';
import { Answers, Scoped } from '@posthorn/service-kit';
import type { Target } from '../subscriptions/subscriptions.js';
import { TestSending } from './test-sending.js';

@Controller('v1/tenants/:tenant/subscriptions/:id/test')
export class TestSendController {
  constructor(private readonly tests: TestSending) {}

  @Post()
  @Scoped('registry:write')
  @Answers(200, testedAttempt, 'Sends an example now and answers with the attempt. It is in no history.', { changes: false })
  send(
    @Param() target: Target,
    @Body({ schema: testSubscriptionBody.optional() }) body: TestSubscriptionBody | undefined,
  ): Promise<TestedAttempt> {
    return this.tests.send(target, body ?? {});
  }
}
