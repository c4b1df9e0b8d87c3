import { isIPv6 } from 'node:net';
import {
  Metadata,
  Server,
  ServerCredentials,
  status,
  type sendUnaryData,
  type ServerUnaryCall,
  type ServiceDefinition,
  type UntypedServiceImplementation,
} from '@grpc/grpc-js';
import { loadFileDescriptorSetFromBuffer, loadSync } from '@grpc/proto-loader';
import { ReflectionService } from '@grpc/reflection';
import type { CustomTransportStrategy } from '@nestjs/microservices';
import { descriptorSet } from '@posthorn/contracts/grpc';
import { protoPath as healthProto } from 'grpc-health-check';
import type { Registry } from 'prom-client';
import type { Authorize } from '../access/authorize.js';
import type { Health } from '../health.js';
import type { Log } from '../log.js';
import { grpcDuration, type ObserveCall } from '../metrics.js';
import { Problem, problemOf } from '../problem.js';
import { requestIdFrom } from '../request-id.js';
import type { CallContext, ServedMethod, ServedService } from './calls.js';
import { HealthService } from './health-service.js';
import { refusalOf } from './status.js';

type Bytes = Buffer | Uint8Array;
type UnaryCall = ServerUnaryCall<Bytes, Bytes>;

export type GrpcDoorOptions = {
  readonly services: readonly ServedService[];
  readonly authorize: Authorize;
  readonly health: Health;
  readonly metrics: Registry;
  readonly log: Log;
};

/** Of a request, unless its method allows more. */
const MAX_BYTES = 1024 * 1024;
/** What is not done by then is cut off: the process has less time in all. */
const CLOSE_MS = 10_000;

const OPTIONS = {
  'grpc.max_concurrent_streams': 256,
  // A client that has vanished without a word is given up, and its connection with it.
  'grpc.keepalive_time_ms': 60_000,
  'grpc.keepalive_timeout_ms': 20_000,
};

const REQUEST_ID_KEY = 'x-request-id';

/** Serves gRPC beside the HTTP port: our services, their reflection, and the standard health service. */
export class GrpcDoor {
  readonly #options: GrpcDoorOptions;
  readonly #observe: ObserveCall;
  readonly #server: Server;
  readonly #health: HealthService;
  #closing: Promise<void> | undefined;

  constructor(options: GrpcDoorOptions) {
    const { services, health, metrics } = options;
    this.#options = options;
    this.#observe = grpcDuration(metrics);
    const limits = services.flatMap(({ methods }) => methods.map(({ maxBytes = MAX_BYTES }) => maxBytes));
    this.#server = new Server({ ...OPTIONS, 'grpc.max_receive_message_length': Math.max(MAX_BYTES, ...limits) });
    for (const service of services) this.#server.addService(definitionOf(service), this.#implementationOf(service));
    this.#health = new HealthService(health, services.map(({ name }) => name));
    this.#health.addTo(this.#server);
    reflectionOf(services.map(({ name }) => name)).addToServer(this.#server);
  }

  /** @returns the port, which is another one than asked for when that was 0 */
  async open(port: number, host?: string): Promise<number> {
    if (host !== undefined) return this.#bind(host, port);
    try {
      return await this.#bind('::', port);
    } catch {
      // A machine without IPv6; whatever else is wrong is wrong here too.
      return this.#bind('0.0.0.0', port);
    }
  }

  /** The door as a transport of Nest's microservices, which is told the port it has opened at. */
  transport(port: number, host?: string): CustomTransportStrategy {
    return {
      listen: (listening) => void this.open(port, host).then((opened) => listening(undefined, opened), listening),
      close: () => this.close(),
    };
  }

  /** Takes no more calls, and resolves when those under way are answered or have run out of time. Once, however often it is asked. */
  close(): Promise<void> {
    return (this.#closing ??= this.#end());
  }

  async #end(): Promise<void> {
    this.#health.close();
    const timer = setTimeout(() => this.#server.forceShutdown(), CLOSE_MS);
    try {
      await new Promise<void>((resolve, reject) => this.#server.tryShutdown((error) => (error ? reject(error) : resolve())));
    } finally {
      clearTimeout(timer);
    }
  }

  #bind(host: string, port: number): Promise<number> {
    const address = `${isIPv6(host) ? `[${host}]` : host}:${port}`;
    return new Promise((resolve, reject) => {
      this.#server.bindAsync(address, ServerCredentials.createInsecure(), (error, bound) => (error ? reject(error) : resolve(bound)));
    });
  }

  #implementationOf({ methods }: ServedService): UntypedServiceImplementation {
    return Object.fromEntries(
      methods.map((method) => [method.name, (call: UnaryCall, callback: sendUnaryData<Bytes>) => void this.#serve(method, call, callback)]),
    );
  }

  /** One call from its metadata to its status. Never rejects. */
  async #serve(method: ServedMethod, call: UnaryCall, callback: sendUnaryData<Bytes>): Promise<void> {
    const startedMs = performance.now();
    const id = requestIdFrom(textOf(call.metadata, REQUEST_ID_KEY));
    const head = new Metadata();
    head.set(REQUEST_ID_KEY, id);
    call.sendMetadata(head);
    const trailers = new Metadata();
    let actor: string | undefined;
    const ended = (code: status): void => {
      // Whoever has given up sees this and not what we say.
      const seen = !call.cancelled ? code : isPast(deadlineOf(call)) ? status.DEADLINE_EXCEEDED : status.CANCELLED;
      const seconds = (performance.now() - startedMs) / 1_000;
      this.#observe(method.path.slice(1), status[seen], seconds);
      const fields = { request_id: id, method: method.path, code: status[seen], duration_ms: Math.round(seconds * 1e6) / 1e3, actor };
      this.#options.log.debug(fields, 'call');
    };
    try {
      const { tenant, answer } = read(method, call.request);
      const { scope, allTenants } = method;
      const caller = await this.#options.authorize({ authorization: textOf(call.metadata, 'authorization') }, { scope, allTenants, tenant });
      actor = caller.actor;
      const context: CallContext = {
        caller,
        id,
        path: method.path,
        metadata: (name) => textOf(call.metadata, name),
        deadlineMs: deadlineOf(call),
        signal: signalOf(call),
        tell: (name, value) => trailers.set(name, value),
      };
      const answered = await answer(context);
      ended(status.OK);
      callback(null, answered, trailers);
    } catch (error) {
      const problem = problemOf(error);
      if (problem.code === 'internal' && !call.cancelled) {
        this.#options.log.error({ err: error, request_id: id, method: method.path }, 'call failed unexpectedly');
      }
      const refusal = refusalOf(problem);
      ended(refusal.code);
      callback(refusal);
    }
  }
}

/** What grpc-js needs to know of a service whose messages it hands on as bytes: they are read, and refused, where a problem can be told. */
const definitionOf = ({ methods }: ServedService): ServiceDefinition =>
  Object.fromEntries(
    methods.map(({ name, path }) => [
      name,
      {
        path,
        requestStream: false,
        responseStream: false,
        requestSerialize: asBuffer,
        requestDeserialize: asBuffer,
        responseSerialize: asBuffer,
        responseDeserialize: asBuffer,
        originalName: name,
      },
    ]),
  );

/** Also of the health service, so that a client without its proto file can ask it. */
const reflectionOf = (names: readonly string[]): ReflectionService => {
  const described = { ...loadFileDescriptorSetFromBuffer(Buffer.from(descriptorSet)), ...loadSync(healthProto) };
  return new ReflectionService(described, { services: [...names, 'grpc.health.v1.Health'] });
};

const asBuffer = (bytes: Bytes): Buffer => (Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength));

/** @throws {Problem} `too_large`, `malformed` */
const read = (method: ServedMethod, bytes: Bytes): ReturnType<ServedMethod['read']> => {
  const { maxBytes = MAX_BYTES } = method;
  if (bytes.length > maxBytes) throw new Problem('too_large', `The request has ${bytes.length} bytes, more than ${maxBytes}.`);
  try {
    return method.read(bytes);
  } catch (cause) {
    throw new Problem('malformed', 'The request is not the message that this method takes, or is nested too deeply.', { cause });
  }
};

const textOf = (metadata: Metadata, name: string): string | undefined => metadata.get(name).at(-1)?.toString();

const deadlineOf = (call: UnaryCall): number | undefined => {
  const deadlineMs = Number(call.getDeadline());
  return Number.isFinite(deadlineMs) ? deadlineMs : undefined;
};

const isPast = (deadlineMs: number | undefined): boolean => deadlineMs !== undefined && deadlineMs <= Date.now();

const signalOf = (call: UnaryCall): AbortSignal => {
  const controller = new AbortController();
  if (call.cancelled) controller.abort();
  else call.once('cancelled', () => controller.abort());
  return controller.signal;
};
