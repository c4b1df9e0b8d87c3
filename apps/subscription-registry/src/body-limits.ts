import { eventTypeLimits, subscriptionLimits } from '@posthorn/contracts';
import type { FastifyInstance } from 'fastify';

/** Bytes of a body, by how the route ends. */
const LIMITS: readonly (readonly [routeEnd: string, bytes: number])[] = [
  ['/subscriptions/batch', subscriptionLimits.batchBytes],
  ['/event-types/import', eventTypeLimits.importBytes],
];

/** Lets what holds many things at once be larger than what all other routes take. */
export const allowLargeBatches = (fastify: FastifyInstance): void => {
  fastify.addHook('onRoute', (route) => {
    const [, bytes] = LIMITS.find(([end]) => route.url.endsWith(end)) ?? [];
    if (bytes !== undefined) route.bodyLimit = bytes;
  });
};
