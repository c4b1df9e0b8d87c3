import type { SubscriptionState } from '@posthorn/contracts';

type Policy = Readonly<Pick<SubscriptionState['policy'], 'ordering' | 'spread'>>;

/** What of a policy is wrong although each of its members is right, with the member's path in the subscription. */
export const policyFaults = ({ ordering, spread = 1 }: Policy): readonly { readonly path: string; readonly message: string }[] =>
  ordering === 'by_key' && spread > 1
    ? [{ path: 'policy.spread', message: 'only 1 with ordering "by_key": what goes over several partitions has no order' }]
    : [];
