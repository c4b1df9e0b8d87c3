import { subscriptionLimits } from '@posthorn/contracts';
import type { FastifyInstance } from 'fastify';

/** Lets a batch be larger than what all other routes take. */
export const allowLargeBatches = (fastify: FastifyInstance): void => {
  fastify.addHook('onRoute', (route) => {
    if (route.url.endsWith('/subscriptions/batch')) route.bodyLimit = subscriptionLimits.batchBytes;
  });
};
