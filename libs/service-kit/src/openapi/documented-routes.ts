import { METHOD_METADATA } from '@nestjs/common/constants.js';
import { MetadataScanner, ModulesContainer } from '@nestjs/core';
import { FASTIFY_ROUTE_CONFIG_METADATA } from '@nestjs/platform-fastify/constants.js';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import type { FastifyContextConfig } from 'fastify';
import { answerOf, type Answer } from './answers.js';
import { takenBy, type Taken } from './takes.js';

/** A controller's method, as a client needs to know it. */
export type DocumentedRoute = {
  readonly answer: Answer;
  /** What it reads by itself. */
  readonly taken?: Taken | undefined;
  /** What it takes of a key; undefined where none is asked for. */
  readonly scoped: FastifyContextConfig['scoped'];
};

export const routeKey = (controller: string, method: string): string => `${controller}.${method}`;

/**
 * All routes that take a key, and those of the open ones that say what they answer; by `routeKey`.
 * @throws {Error} naming every route that takes a key and does not say what it answers: it would be missing in the document
 */
export const documentedRoutes = (app: NestFastifyApplication): ReadonlyMap<string, DocumentedRoute> => {
  const scanner = new MetadataScanner();
  const routes = new Map<string, DocumentedRoute>();
  const silent: string[] = [];
  for (const { controllers } of app.get(ModulesContainer).values()) {
    for (const { name: controller, metatype } of controllers.values()) {
      const prototype: unknown = metatype?.prototype;
      if (typeof prototype !== 'object' || prototype === null) continue;
      for (const name of scanner.getAllMethodNames(prototype)) {
        const method: unknown = Reflect.get(prototype, name);
        if (typeof method !== 'function' || !Reflect.hasMetadata(METHOD_METADATA, method)) continue;
        const config = Reflect.getMetadata(FASTIFY_ROUTE_CONFIG_METADATA, method) as FastifyContextConfig | undefined; // as RouteConfig takes it
        const answer = answerOf(method);
        if (answer !== undefined) routes.set(routeKey(controller, name), { answer, taken: takenBy(method), scoped: config?.scoped });
        else if (config?.scoped !== undefined) silent.push(routeKey(controller, name));
      }
    }
  }
  if (silent.length > 0) throw new Error(`they do not say what they answer: ${silent.join(', ')}`);
  return routes;
};
