import 'reflect-metadata';
import { readFileSync } from 'node:fs';
import type { DynamicModule, INestApplication, INestApplicationContext } from '@nestjs/common';
import type { MicroserviceOptions } from '@nestjs/microservices';
import type { Kafka } from '@posthorn/kafka';
import type { FastifyInstance } from 'fastify';
import type { Registry } from 'prom-client';
import { z } from 'zod';
import { Access } from './access/access.js';
import { adminKeyOnly } from './access/admin-key.js';
import { authorizer, type Authorize } from './access/authorize.js';
import type { RegistryStateFeed } from './access/registry-state-feed.js';
import { ConfigError, kafkaSettings, readConfig, type CommonConfig, type ProcessConfig } from './config.js';
import { FrontDoor, type Handler } from './front-door.js';
import type { ServedService } from './grpc/calls.js';
import { Health } from './health.js';
import { createHttpApp } from './http-app.js';
import { LifeCycle } from './life-cycle.js';
import { createLog, type Log } from './log.js';
import { buildInfo, createMetrics, readinessMetrics, requestDuration } from './metrics.js';
import type { ApiDescription } from './openapi/document.js';
import { toldConfig } from './told-config.js';
import { startTracing } from './tracing/start-tracing.js';
import type { Tracing } from './tracing/tracing.js';

export type ServiceName = 'subscription-registry' | 'event-ingestion' | 'dispatcher' | 'delivery-audit' | 'gateway';

/** The version of all of Posthorn: its parts are released together. */
export const VERSION = z
  .object({ version: z.string() })
  .parse(JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'))).version;

export type KitWithoutKafka = {
  readonly log: Log;
  readonly metrics: Registry;
  readonly health: Health;
  /** Absent where no spans are exported. */
  readonly tracing?: Tracing | undefined;
  /** What to do at the end, last added first. The HTTP door is closed by then. */
  readonly onShutdown: (what: string, close: () => Promise<void>) => void;
  /** Aborted before any of that, while the doors are still open: for answers that would never end by themselves. */
  readonly stopping: AbortSignal;
};

export type Kit = KitWithoutKafka & {
  readonly kafka: Kafka;
  /** Read from its beginning once the module is built, in a service with routes to guard. */
  readonly registryState: Pick<RegistryStateFeed, 'fold' | 'caughtUp' | 'isCaughtUp' | 'position' | 'lag' | 'readFresh'>;
};

export type Service<C extends ProcessConfig> = {
  readonly name: ServiceName;
  /** `z.object({...commonConfig, …})`, or of `processConfig` for a service that does without Kafka. */
  readonly config: z.ZodObject & z.ZodType<C>;
  readonly defaultPort: number;
  /** Builds the parts and the Nest module around them; called once, before anything but the process's health is served. */
  readonly module: (config: C, kit: C extends CommonConfig ? Kit : KitWithoutKafka) => DynamicModule | Promise<DynamicModule>;
  /** Serves `/docs` and `/docs/openapi.json`. */
  readonly api?: ApiDescription;
  readonly bodyLimitBytes?: number;
  /** Served beside HTTP, with the parts that the module has made; the configuration holds `grpcConfig` then. */
  readonly grpc?: {
    readonly defaultPort: number;
    readonly services: (app: INestApplicationContext) => readonly ServedService[];
  };
  /** Content type parsers, hooks, routes beside Nest's; called after `module`, before Nest adds its routes. */
  readonly fastify?: (instance: FastifyInstance, config: C) => void | Promise<void>;
};

/** Runs a service until a signal. Never throws: whatever goes wrong is logged, and the process ends with 1. */
export const runService = async <C extends ProcessConfig>(service: Service<C>): Promise<void> => {
  const config = configOrExit(service);
  const log = createLog(service.name, config.LOG_LEVEL);
  const lifeCycle = new LifeCycle(log);
  lifeCycle.watch(config.POSTHORN_EXIT_WITH_PARENT);
  try {
    await start(service, config, log, lifeCycle);
  } catch (err) {
    // What is half built when the signal comes is closed under its builder's hands; its complaints say nothing.
    if (lifeCycle.stopping) return;
    log.fatal({ err }, 'could not start');
    await lifeCycle.stop('could not start', 1);
  }
};

const configOrExit = <C extends ProcessConfig>({ name, config }: Service<C>): C => {
  try {
    return readConfig(config) as C; // what Service ties together, z.output<> loses
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    process.stderr.write(`${name}: ${error.message}\n`);
    process.exit(1);
  }
};

const start = async <C extends ProcessConfig>(service: Service<C>, config: C, log: Log, lifeCycle: LifeCycle): Promise<void> => {
  const metrics = createMetrics(service.name);
  const health = new Health();
  buildInfo(metrics, VERSION);
  readinessMetrics(metrics, health);
  let started = false;
  health.addReadiness('process', () => (lifeCycle.stopping ? 'shutting down' : started ? undefined : 'starting'));

  if ('POSTHORN_ADMIN_API_KEY' in service.config.shape && config.POSTHORN_ADMIN_API_KEY === undefined) {
    log.warn({}, 'POSTHORN_ADMIN_API_KEY is not set: only API keys that exist already are let in');
  }
  const door = new FrontDoor({ service: service.name, version: VERSION, health, metrics, log });
  const port = await door.open(config.PORT ?? service.defaultPort, config.HOST);

  const onShutdown: KitWithoutKafka['onShutdown'] = (what, close) => lifeCycle.onShutdown(what, close);
  // First, and so closed last: the spans of what the others finish are sent, too.
  const tracing = await startTracing(config, { service: service.name, version: VERSION, log, metrics, onShutdown });
  const base: KitWithoutKafka = { log, metrics, health, tracing, onShutdown, stopping: lifeCycle.signal };
  const adminKey = config.POSTHORN_ADMIN_API_KEY;
  const kafka = usesKafka(config) ? await connectKafka(config, service.name, base) : undefined;
  const access = kafka && new Access({ kafka, service: service.name, adminKey, log });
  const kit = access ? { ...base, kafka, registryState: access.registryState } : base;
  const module = await service.module(config, kit as Parameters<Service<C>['module']>[1]); // the very condition of that type

  const authenticate = access?.authenticate ?? adminKeyOnly(adminKey);
  let handler: Handler | undefined;
  let isGuarded = false;
  const app = await createHttpApp({
    module,
    log,
    authenticate,
    observe: requestDuration(metrics),
    api: service.api,
    bodyLimitBytes: service.bodyLimitBytes,
    fastify: async (instance) => {
      instance.addHook('onRoute', ({ config: route }) => void (isGuarded ||= route?.scoped !== undefined));
      await service.fastify?.(instance, config);
    },
    serverFactory: (handle) => {
      handler = handle as Handler;
      return door.server;
    },
  });
  lifeCycle.onShutdown('application', () => app.close());
  lifeCycle.onShutdown('http', () => door.close());
  if (isGuarded) await access?.start(health);
  if (lifeCycle.stopping || handler === undefined) return;
  const grpcPort = await openGrpc(service, config, { authorize: authorizer(authenticate), app, kit: base });
  door.admit(handler);
  started = true;
  const startup_ms = Math.round(process.uptime() * 1_000);
  log.info({ port, grpc_port: grpcPort, version: VERSION, node: process.versions.node, startup_ms, config: toldConfig(config) }, 'listening');
};

type GrpcParts = { readonly authorize: Authorize; readonly app: INestApplication; readonly kit: KitWithoutKafka };

/**
 * A microservice of the Nest application, with a transport of ours. Loaded only where it is served. Opened last and closed first: calls
 * under way find the whole application behind them.
 */
const openGrpc = async <C extends ProcessConfig>(
  { grpc }: Service<C>,
  config: C & { readonly GRPC_PORT?: number | undefined },
  { authorize, app, kit: { log, metrics, health, onShutdown } }: GrpcParts,
): Promise<number | undefined> => {
  if (grpc === undefined) return undefined;
  const { GrpcDoor } = await import('./grpc/grpc-door.js');
  const door = new GrpcDoor({ services: grpc.services(app), authorize, health, metrics, log });
  const microservice = app.connectMicroservice<MicroserviceOptions>({
    strategy: door.transport(config.GRPC_PORT ?? grpc.defaultPort, config.HOST),
  });
  onShutdown('grpc', () => door.close());
  return (await microservice.listen()) as number; // what our transport told it
};

const usesKafka = (config: ProcessConfig): config is CommonConfig => 'POSTHORN_KAFKA_BROKERS' in config;

/** Loaded only where it is used: the gateway does without the client. */
const connectKafka = async (config: CommonConfig, clientId: string, kit: KitWithoutKafka): Promise<Kafka> => {
  const { Kafka } = await import('@posthorn/kafka');
  const kafka = new Kafka(kafkaSettings(config, clientId), kit.log);
  kit.onShutdown('kafka', () => kafka.close());
  kit.health.addReadiness('kafka', async () => {
    await kafka.ping();
    return undefined;
  });
  return kafka;
};
