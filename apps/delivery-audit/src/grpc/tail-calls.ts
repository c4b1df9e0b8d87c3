import { tailQuery } from '@posthorn/contracts';
import type { TailServiceDefinition } from '@posthorn/contracts/grpc/audit';
import { parseOrRefuse } from '@posthorn/service-kit';
import { given, present, type Calls } from '@posthorn/service-kit/grpc';
import type { Tail } from '../tail/tail.js';
import { reading } from './of-tenant.js';
import { toTailed } from './tail-messages.js';
import { deliveryStatuses } from './words.js';

export const tailCalls = (tail: Tail): Calls<typeof TailServiceDefinition> => ({
  tailDeliveries: {
    ...reading,
    feed: async ({ tenant, subscription, status, after }, say, { caller, signal }) => {
      const wanted = parseOrRefuse(tailQuery, present({ subscription: given(subscription), status: deliveryStatuses.of(status) }));
      const watch = await tail.open({ tenant, ...wanted }, { caller, after: given(after), signal });
      // The last of a batch is taken by the network after all before it.
      for await (const tidings of watch.tidings()) await Promise.all(tidings.map((each) => say(toTailed(each))));
    },
  },
});
