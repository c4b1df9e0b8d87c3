import { RouteConfig } from '@nestjs/platform-fastify';
import { FASTIFY_ROUTE_CONFIG_METADATA } from '@nestjs/platform-fastify/constants.js';
import type { FastifyContextConfig } from 'fastify';

/** Nest's own decorator replaces what another has said of the method; this one adds to it. */
export const routeConfig =
  (more: FastifyContextConfig): MethodDecorator =>
  (target, name, descriptor) => {
    const said = Reflect.getMetadata(FASTIFY_ROUTE_CONFIG_METADATA, descriptor.value ?? target) as FastifyContextConfig | undefined; // as RouteConfig leaves it
    return RouteConfig({ ...said, ...more })(target, name, descriptor);
  };
