import type { Scope } from '@posthorn/contracts';
import { strictReader } from '@posthorn/contracts/grpc';
import type { Caller } from '../access/caller.js';
import { Problem } from '../problem.js';

/** Which message it is for is known again where a method is picked out, in `RequestOf` and `ResponseOf`. */
type Codec = {
  encode(message: never): { finish(): Uint8Array };
  decode(input: ReturnType<typeof strictReader>): unknown;
};

type MethodDescription = {
  /** As in the proto file. */
  readonly name: string;
  readonly requestType: Codec;
  /** With streams of answers too: whoever needs it alone, extends this. */
  readonly requestStream: boolean;
  readonly responseType: Codec;
  readonly responseStream: boolean;
};

/** A service as it is generated from its proto file. */
export type ServiceDescription = {
  /** With its package. */
  readonly fullName: string;
  readonly methods: Readonly<Record<string, MethodDescription>>;
};

type RequestOf<M extends MethodDescription> = ReturnType<M['requestType']['decode']>;
type ResponseOf<M extends MethodDescription> = ReturnType<M['responseType']['decode']>;

/** The circumstances of a call. */
export type CallContext = {
  readonly caller: Caller;
  /** The caller's `x-request-id`, or a new one. */
  readonly id: string;
  /** As in `/posthorn.registry.v1.TenantService/CreateTenant`. */
  readonly path: string;
  /** Of its metadata; the last value when there are several. */
  readonly metadata: (name: string) => string | undefined;
  /** Clock reading at which the caller gives up. */
  readonly deadlineMs: number | undefined;
  /**
   * Aborted when the caller has given up. Of a method that answers with a stream also when the caller's key is no longer valid, and when the
   * process wants to end; the reason is then what the call is to end with.
   */
  readonly signal: AbortSignal;
  /** Sends metadata along with the answer. */
  readonly tell: (name: string, value: string) => void;
};

/** How one method is served: to whom, how large, and by what. */
export type Call<Request, Response> = {
  readonly scope: Scope;
  /** Only for those whose right is not to one tenant. */
  readonly allTenants?: true;
  /** Whose things the call is about; absent when it is about no tenant's in particular. */
  readonly tenant?: (request: Request) => string;
  /** Of the request as it is sent. */
  readonly maxBytes?: number;
  /** @throws {Problem} and whatever else `problemOf` makes one of */
  readonly answer: (request: Request, context: CallContext) => Response | Promise<Response>;
};

/** How a method that answers one request with a stream is served. */
export type FeedCall<Request, Response> = Omit<Call<Request, Response>, 'answer'> & {
  /**
   * The call ends when this has.
   * @param say resolves when the network has taken it, or nobody listens any more
   * @throws {Problem} and whatever else `problemOf` makes one of; the reason of the signal, when it was that which ended it
   */
  readonly feed: (request: Request, say: (response: Response) => Promise<void>, context: CallContext) => Promise<void>;
};

/** A call that goes on in both directions at once. */
export type Conversation<Request, Response> = {
  /**
   * What the client says, one after another: what is not taken is not read from the network, but for 16 messages. Ends when the client has
   * said all or has gone, and when the process wants to. Throws a problem when a message cannot be read, and when the key is no longer valid.
   */
  readonly requests: AsyncIterable<Request>;
  /** Resolves when the network has taken it, or the client has gone. */
  readonly say: (response: Response) => Promise<void>;
};

/** How a method with streams in both directions is served. Its caller's right to a tenant is for `converse` to look at. */
export type StreamCall<Request, Response> = Pick<Call<never, never>, 'scope'> & {
  /** Of each message. */
  readonly maxBytes?: number;
  /** The call ends when this has. @throws {Problem} and whatever else `problemOf` makes one of */
  readonly converse: (conversation: Conversation<Request, Response>, context: CallContext) => Promise<void>;
};

/** Every method of a service: one that is forgotten does not compile. */
export type Calls<S extends ServiceDescription> = {
  readonly [M in keyof S['methods']]: S['methods'][M]['requestStream'] extends true
    ? StreamCall<RequestOf<S['methods'][M]>, ResponseOf<S['methods'][M]>>
    : S['methods'][M]['responseStream'] extends true
      ? FeedCall<RequestOf<S['methods'][M]>, ResponseOf<S['methods'][M]>>
      : Call<RequestOf<S['methods'][M]>, ResponseOf<S['methods'][M]>>;
};

type Served = { readonly name: string; readonly path: string };

/** A method, its request and its answer as bytes. */
export type ServedCall = Omit<Call<never, never>, 'tenant' | 'answer'> &
  Served & {
    readonly kind: 'call';
    /** @throws {Problem} `malformed` when the bytes are no such message; the rest is done when `answer` is called */
    readonly read: (request: Uint8Array) => {
      readonly tenant: string | undefined;
      readonly answer: (context: CallContext) => Promise<Uint8Array>;
    };
  };

/** A method that answers with a stream, its request and its answers as bytes. */
export type ServedFeed = Omit<FeedCall<never, never>, 'tenant' | 'feed'> &
  Served & {
    readonly kind: 'feed';
    /** @throws {Problem} `malformed` when the bytes are no such message */
    readonly read: (request: Uint8Array) => {
      readonly tenant: string | undefined;
      readonly feed: (say: (response: Uint8Array) => Promise<void>, context: CallContext) => Promise<void>;
    };
  };

export type ServedStream = Omit<StreamCall<never, never>, 'converse'> &
  Served & {
    readonly kind: 'stream';
    readonly converse: (conversation: Conversation<Uint8Array, Uint8Array>, context: CallContext) => Promise<void>;
  };

export type ServedMethod = ServedCall | ServedFeed | ServedStream;

export type ServedService = { readonly name: string; readonly methods: readonly ServedMethod[] };

/** @throws {Problem} `malformed` */
const decoded = ({ decode }: Codec, bytes: Uint8Array): never => {
  try {
    return decode(strictReader(bytes)) as never; // of the method whose codec it is
  } catch (cause) {
    throw new Problem('malformed', 'The request is not the message that this method takes, or is nested too deeply.', { cause });
  }
};

const decodedAll = async function* (codec: Codec, messages: AsyncIterable<Uint8Array>): AsyncGenerator<never> {
  for await (const bytes of messages) yield decoded(codec, bytes);
};

const servedCall = (served: Served, { requestType, responseType }: MethodDescription, { tenant, answer, ...rest }: Call<never, never>): ServedCall => ({
  ...rest,
  ...served,
  kind: 'call',
  read: (bytes) => {
    const request = decoded(requestType, bytes);
    return {
      tenant: tenant?.(request),
      answer: async (context) => responseType.encode(await answer(request, context)).finish(),
    };
  },
});

const servedFeed = (served: Served, { requestType, responseType }: MethodDescription, { tenant, feed, ...rest }: FeedCall<never, never>): ServedFeed => ({
  ...rest,
  ...served,
  kind: 'feed',
  read: (bytes) => {
    const request = decoded(requestType, bytes);
    return {
      tenant: tenant?.(request),
      feed: (say, context) => feed(request, (response) => say(responseType.encode(response).finish()), context),
    };
  },
});

const servedStream = (served: Served, { requestType, responseType }: MethodDescription, { converse, ...rest }: StreamCall<never, never>): ServedStream => ({
  ...rest,
  ...served,
  kind: 'stream',
  converse: ({ requests, say }, context) =>
    converse({ requests: decodedAll(requestType, requests), say: (response) => say(responseType.encode(response).finish()) }, context),
});

/** Puts a service together from its description and what serves it. */
export const serve = <S extends ServiceDescription>({ fullName, methods }: S, calls: Calls<S>): ServedService => ({
  name: fullName,
  methods: Object.entries(methods).map(([member, method]) => {
    const served = { name: method.name, path: `/${fullName}/${method.name}` };
    // Object.entries forgets which method goes with which call; the kind of the one is that of the other.
    const call = calls[member as keyof S['methods']] as unknown;
    if (method.requestStream) return servedStream(served, method, call as StreamCall<never, never>);
    return method.responseStream ? servedFeed(served, method, call as FeedCall<never, never>) : servedCall(served, method, call as Call<never, never>);
  }),
});
