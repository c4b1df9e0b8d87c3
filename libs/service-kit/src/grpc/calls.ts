import type { Scope } from '@posthorn/contracts';
import type { Caller } from '../access/caller.js';

/** Which message it is for is known again where a method is picked out, in `RequestOf` and `ResponseOf`. */
type Codec = {
  encode(message: never): { finish(): Uint8Array };
  decode(bytes: Uint8Array): unknown;
};

type MethodDescription = {
  /** As in the proto file. */
  readonly name: string;
  readonly requestType: Codec;
  readonly responseType: Codec;
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
  /** Aborted when the caller has given up. */
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

/** Every method of a service: one that is forgotten does not compile. */
export type Calls<S extends ServiceDescription> = {
  readonly [M in keyof S['methods']]: Call<RequestOf<S['methods'][M]>, ResponseOf<S['methods'][M]>>;
};

/** A method, its request and its answer as bytes. */
export type ServedMethod = Omit<Call<never, never>, 'tenant' | 'answer'> & {
  readonly name: string;
  readonly path: string;
  /** @throws when the bytes are no such message; the rest is done when `answer` is called */
  readonly read: (request: Uint8Array) => {
    readonly tenant: string | undefined;
    readonly answer: (context: CallContext) => Promise<Uint8Array>;
  };
};

export type ServedService = { readonly name: string; readonly methods: readonly ServedMethod[] };

/** Puts a service together from its description and what serves it. */
export const serve = <S extends ServiceDescription>({ fullName, methods }: S, calls: Calls<S>): ServedService => ({
  name: fullName,
  methods: Object.entries(methods).map(([member, { name, requestType, responseType }]) => {
    // Object.entries forgets which method goes with which call.
    const { tenant, answer, ...rest } = calls[member as keyof S['methods']] as unknown as Call<never, never>;
    return {
      ...rest,
      name,
      path: `/${fullName}/${name}`,
      read: (bytes) => {
        const request = requestType.decode(bytes) as never; // of this very method
        return {
          tenant: tenant?.(request),
          answer: async (context) => responseType.encode(await answer(request, context)).finish(),
        };
      },
    };
  }),
});
