import { describe, expect, it } from '@jest/globals';
import { createRequire } from 'node:module';
import './kafkajs-internals.js';

type Finder = { findGroupCoordinatorMetadata(group: object): Promise<unknown> };
const { prototype } = createRequire(import.meta.url)('kafkajs/src/cluster/index.js') as { readonly prototype: Finder };

describe("a broker that does not name a group's coordinator yet", () => {
  it('is an outage, after which the client starts the consumer again, and not the end of it', async () => {
    const cluster: Finder & object = Object.create(prototype, { brokerPool: { value: { withBroker: async () => null } } });
    await expect(cluster.findGroupCoordinatorMetadata({ groupId: 'g' })).rejects.toMatchObject({ retriable: true, message: 'Failed to find group coordinator' });
  });
});
