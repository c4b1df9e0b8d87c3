import { filterCheckBody, testSubscriptionBody, type FilterCheckResult } from '@posthorn/contracts';
import type { CheckFilterResponse, SubscriptionServiceDefinition } from '@posthorn/contracts/grpc/registry';
import { parseOrRefuse } from '@posthorn/service-kit';
import { given, jsonOf, present, type Calls } from '@posthorn/service-kit/grpc';
import type { FilterCheck } from '../trials/filter-check.js';
import type { TestSending } from '../trials/test-sending.js';
import { reading, writing } from './of-tenant.js';
import { toTestAttempt } from './subscription-messages.js';

const toOutcome = (result: FilterCheckResult): CheckFilterResponse['outcome'] => {
  if ('matches' in result) return { $case: 'matches', value: result.matches };
  if ('result' in result) return { $case: 'result', value: result.result };
  const { message, position } = result.error;
  return { $case: 'error', value: { message, position } };
};

/** What can be tried before it is relied on. */
export const trialCalls = (
  filters: FilterCheck,
  tests: TestSending,
): Pick<Calls<typeof SubscriptionServiceDefinition>, 'testSubscription' | 'checkFilter'> => ({
  testSubscription: {
    ...writing,
    answer: async ({ tenant, id, event_type, data }) => {
      const body = parseOrRefuse(testSubscriptionBody, present({ event_type: given(event_type), data: jsonOf(data, 'data') }));
      return { attempt: toTestAttempt(await tests.send({ tenant, id }, body)) };
    },
  },
  checkFilter: {
    ...reading,
    answer: async ({ tenant, expression, event }) => {
      const asked = present({ ...(expression && { [expression.$case]: expression.value }), event: jsonOf(event, 'event') });
      const result = await filters.check(tenant, parseOrRefuse(filterCheckBody, asked));
      return { outcome: toOutcome(result), headers: ('headers' in result && result.headers) || {}, cost: result.cost };
    },
  },
});
