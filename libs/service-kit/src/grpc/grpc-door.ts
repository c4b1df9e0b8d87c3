import { isIPv6 } from 'node:net';
import {
  ResponderBuilder,
  Server,
  ServerCredentials,
  ServerInterceptingCall,
  ServerListenerBuilder,
  type Metadata,
  type sendUnaryData,
  type ServerDuplexStream,
  type ServerInterceptor,
  type ServerUnaryCall,
  type ServerWritableStream,
  type ServiceDefinition,
  type UntypedServiceImplementation,
} from '@grpc/grpc-js';
import { loadFileDescriptorSetFromBuffer, loadSync } from '@grpc/proto-loader';
import { ReflectionService } from '@grpc/reflection';
import type { CustomTransportStrategy } from '@nestjs/microservices';
import { descriptorSet } from '@posthorn/contracts/grpc';
import { protoPath as healthProto } from 'grpc-health-check';
import type { Registry } from 'prom-client';
import { authorizer, type Authorize } from '../access/authorize.js';
import type { Caller } from '../access/caller.js';
import { whileAllowed } from '../access/while-allowed.js';
import type { Health } from '../health.js';
import type { Log } from '../log.js';
import { grpcDuration, type ObserveCall } from '../metrics.js';
import { Problem } from '../problem.js';
import { CallCourse } from './call-course.js';
import type { ServedCall, ServedFeed, ServedMethod, ServedService, ServedStream } from './calls.js';
import { incoming, outgoing } from './duplex.js';
import { HealthService } from './health-service.js';
import type { Refusal } from './status.js';

type Bytes = Buffer | Uint8Array;
type UnaryCall = ServerUnaryCall<Bytes, Bytes>;
type FedCall = ServerWritableStream<Bytes, Bytes>;
type StreamedCall = ServerDuplexStream<Bytes | TooLarge, Bytes>;

/** A call whose key has the scope of its method. */
type Admitted = {
  readonly course: CallCourse;
  readonly caller: Caller;
  /** When that was known. */
  readonly atMs: number;
};

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
/** For how long a caller's right is believed: to a stream, and while a message is on its way. */
const ALLOWED_MS = 1_000;

const OPTIONS = {
  'grpc.max_concurrent_streams': 256,
  // A client that has vanished without a word is given up, and its connection with it.
  'grpc.keepalive_time_ms': 60_000,
  'grpc.keepalive_timeout_ms': 20_000,
};

/** Serves gRPC beside the HTTP port: our services, their reflection, and the standard health service. */
export class GrpcDoor {
  readonly #options: GrpcDoorOptions;
  readonly #observe: ObserveCall;
  readonly #server: Server;
  readonly #health: HealthService;
  /** By their metadata: the only thing that the gate and what serves a call both get hold of. */
  readonly #admitted = new WeakMap<Metadata, Admitted>();
  /** Aborted when no more is to be read. */
  readonly #closing = new AbortController();
  #closed: Promise<void> | undefined;

  constructor(options: GrpcDoorOptions) {
    const { services, health, metrics } = options;
    this.#options = options;
    this.#observe = grpcDuration(metrics);
    const limits = services.flatMap(({ methods }) => methods.map(({ maxBytes = MAX_BYTES }) => maxBytes));
    this.#server = new Server({
      ...OPTIONS,
      'grpc.max_receive_message_length': Math.max(MAX_BYTES, ...limits),
      interceptors: [this.#gateOf(services)],
    });
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
    return (this.#closed ??= this.#end());
  }

  async #end(): Promise<void> {
    this.#health.close();
    this.#closing.abort(shuttingDown());
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
      methods.map((method) => {
        switch (method.kind) {
          case 'call':
            return [method.name, (call: UnaryCall, callback: sendUnaryData<Bytes>) => void this.#answer(method, call, callback, this.#admittedOf(call))];
          case 'feed':
            return [method.name, (call: FedCall) => void this.#feed(method, call, this.#admittedOf(call))];
          case 'stream':
            return [method.name, (call: StreamedCall) => void this.#converse(method, call, this.#admittedOf(call))];
        }
      }),
    );
  }

  /**
   * Asks for the key before anything of a message is read: as long as the metadata of a call is held back, the window of HTTP/2 bounds what a
   * stranger can have us hold. Whoever asks for health or reflection needs no key.
   */
  #gateOf(services: readonly ServedService[]): ServerInterceptor {
    const served = new Map(services.flatMap(({ methods }) => methods.map((method) => [method.path, method])));
    return ({ path }, call) => {
      const method = served.get(path);
      if (method === undefined) return new ServerInterceptingCall(call);
      let course: CallCourse | undefined;
      const listener = new ServerListenerBuilder()
        .withOnReceiveMetadata((metadata, next) => {
          course = new CallCourse(path, metadata, call, { log: this.#options.log, observe: this.#observe });
          void this.#admit(method, course, {
            admitted: (admitted) => {
              this.#admitted.set(metadata, admitted);
              next(metadata);
            },
            refused: (refusal) => call.sendStatus(refusal),
          });
        })
        .withOnCancel(() => course?.abandoned())
        .build();
      return new ServerInterceptingCall(call, new ResponderBuilder().withStart((next) => next(listener)).build());
    };
  }

  /** Never rejects. */
  async #admit({ scope }: ServedMethod, course: CallCourse, to: { admitted: (admitted: Admitted) => void; refused: (refusal: Refusal) => void }): Promise<void> {
    try {
      const caller = await this.#options.authorize({ authorization: course.authorization }, { scope });
      // Nobody is there any more, and nothing is handed on: this is the end of it.
      if (course.gone.aborted) course.answered();
      else to.admitted({ course, caller, atMs: performance.now() });
    } catch (error) {
      to.refused(course.failed(error));
    }
  }

  #admittedOf({ metadata }: UnaryCall | FedCall | StreamedCall): Admitted {
    const admitted = this.#admitted.get(metadata);
    if (admitted === undefined) throw new Error('A call has come past the gate.');
    return admitted;
  }

  /** Judges what only the message says. Whose key it is, is asked again when the message was long on its way. */
  #judge({ scope, allTenants }: ServedCall | ServedFeed, { course, caller, atMs }: Admitted, tenant: string | undefined): Promise<Caller> {
    const authorize = performance.now() - atMs > ALLOWED_MS ? this.#options.authorize : authorizer(() => caller);
    return authorize({ authorization: course.authorization }, { scope, allTenants, tenant });
  }

  /** Never rejects. */
  async #answer(method: ServedCall, call: UnaryCall, callback: sendUnaryData<Bytes>, admitted: Admitted): Promise<void> {
    const { course } = admitted;
    try {
      const { tenant, answer } = read(method, call.request);
      const caller = await this.#judge(method, admitted, tenant);
      const answered = await answer(course.contextFor(caller, tenant));
      course.answered();
      callback(null, answered, course.trailers);
    } catch (error) {
      callback(course.failed(error));
    }
  }

  /** Never rejects. */
  async #feed(method: ServedFeed, call: FedCall, admitted: Admitted): Promise<void> {
    const { course } = admitted;
    const refused = new AbortController();
    try {
      const { tenant, feed } = read(method, call.request);
      const caller = await this.#judge(method, admitted, tenant);
      const signal = AbortSignal.any([course.gone, refused.signal, this.#closing.signal]);
      const { scope, allTenants } = method;
      const authorize = (): Promise<Caller> => this.#options.authorize({ authorization: course.authorization }, { scope, allTenants, tenant });
      const over = whileAllowed(authorize, (refusal) => refused.abort(refusal));
      await feed(outgoing(call, signal), course.contextFor(caller, tenant, signal)).finally(over);
      course.answered();
      call.end(course.trailers);
    } catch (error) {
      call.emit('error', course.failed(error));
    }
  }

  /** Never rejects. */
  async #converse(method: ServedStream, call: StreamedCall, { course, caller }: Admitted): Promise<void> {
    const authorize = (): Promise<Caller> => this.#options.authorize({ authorization: course.authorization }, { scope: method.scope });
    try {
      const requests = stillAllowed(incoming<Bytes | TooLarge>(call, this.#closing.signal), authorize);
      await method.converse({ requests, say: outgoing(call, course.gone) }, course.contextFor(caller));
      // What was said after the last that was read is not answered: the client has to know.
      if (this.#closing.signal.aborted && !call.readableEnded) throw shuttingDown();
      course.answered();
      call.end(course.trailers);
    } catch (error) {
      call.emit('error', course.failed(error));
    }
  }
}

/**
 * A stream may go on for days: its caller's right to it is asked for again while it is made use of, so that a key which was revoked ends
 * there as soon as elsewhere.
 */
const stillAllowed = async function* (messages: AsyncIterable<Bytes | TooLarge>, authorize: () => Promise<unknown>): AsyncGenerator<Bytes> {
  let askedMs = performance.now();
  for await (const message of messages) {
    if (performance.now() - askedMs > ALLOWED_MS) {
      await authorize();
      askedMs = performance.now();
    }
    if ('excess' in message) throw message.excess;
    yield message;
  }
};

/** What grpc-js needs to know of a service whose messages it hands on as bytes: they are read, and refused, where a problem can be told. */
const definitionOf = ({ methods }: ServedService): ServiceDefinition =>
  Object.fromEntries(
    methods.map(({ name, path, kind, maxBytes }) => [
      name,
      {
        path,
        requestStream: kind === 'stream',
        responseStream: kind !== 'call',
        requestSerialize: asBuffer,
        // Messages of a stream are read ahead: what is too large must not be kept until its turn.
        requestDeserialize: kind === 'stream' ? within(maxBytes) : asBuffer,
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

const shuttingDown = (): Problem => new Problem('unavailable', 'The service is shutting down.');

type TooLarge = { readonly excess: Problem };

const tooLarge = (bytes: number, maxBytes: number): Problem => new Problem('too_large', `The request has ${bytes} bytes, more than ${maxBytes}.`);

const within =
  (maxBytes = MAX_BYTES) =>
  (bytes: Bytes): Buffer | TooLarge =>
    bytes.length > maxBytes ? { excess: tooLarge(bytes.length, maxBytes) } : asBuffer(bytes);

/** @throws {Problem} `too_large`, `malformed` */
const read = <Asked>({ read: readOf, maxBytes = MAX_BYTES }: { readonly read: (bytes: Bytes) => Asked; readonly maxBytes?: number }, bytes: Bytes): Asked => {
  if (bytes.length > maxBytes) throw tooLarge(bytes.length, maxBytes);
  return readOf(bytes);
};
