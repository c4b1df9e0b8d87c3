import { Client, credentials, Metadata, type ClientReadableStream, type ServiceError } from '@grpc/grpc-js';
import { BadRequest, ErrorInfo, Status } from '@posthorn/contracts/grpc';
import { DETAILS_KEY } from '@posthorn/service-kit/grpc';

type Codec = { encode(message: never): { finish(): Uint8Array }; decode(bytes: Uint8Array): unknown };
type Method = { readonly name: string; readonly requestType: Codec; readonly responseType: Codec };
type Description = { readonly fullName: string; readonly methods: Readonly<Record<string, Method>> };
type Message<C extends Codec> = ReturnType<C['decode']>;

export type CallOptions = {
  readonly key?: string;
  readonly metadata?: Readonly<Record<string, string>>;
  readonly deadline?: Date;
};

/** What came back: the message, and the metadata after it. */
export type Answered<T> = { readonly message: T; readonly trailers: Metadata };

/** Every method of a service; what a request does not give is empty, as on the wire. */
export type TestClient<S extends Description> = {
  readonly [M in keyof S['methods']]: (
    request?: Partial<Message<S['methods'][M]['requestType']>>,
    options?: CallOptions,
  ) => Promise<Answered<Message<S['methods'][M]['responseType']>>>;
};

export const connect = (address: string): Client => new Client(address, credentials.createInsecure());

const metadataOf = ({ key, metadata = {} }: CallOptions): Metadata => {
  const sent = new Metadata();
  if (key !== undefined) sent.set('authorization', `Bearer ${key}`);
  for (const [name, value] of Object.entries(metadata)) sent.set(name, value);
  return sent;
};

/** Sends bytes to a method and resolves with the bytes of its answer. @throws {ServiceError} */
export const callRaw = (client: Client, path: string, bytes: Uint8Array, options: CallOptions): Promise<Answered<Buffer>> =>
  new Promise((resolve, reject) => {
    let message: Buffer = Buffer.alloc(0);
    const call = client.makeUnaryRequest(
      path,
      (request: Uint8Array) => Buffer.from(request),
      (response) => response,
      bytes,
      metadataOf(options),
      options.deadline ? { deadline: options.deadline } : {},
      (error, response) => {
        if (error) reject(error);
        else if (response) message = response;
      },
    );
    call.on('status', ({ metadata }) => setImmediate(() => resolve({ message, trailers: metadata })));
  });

/** The bytes of a request that gives this much. */
export const requestBytes = ({ requestType }: Method, given: object): Uint8Array =>
  requestType.encode({ ...(requestType.decode(new Uint8Array()) as object), ...given } as never).finish();

export const clientOf = <S extends Description>(client: Client, { fullName, methods }: S, byDefault: CallOptions): TestClient<S> =>
  Object.fromEntries(
    Object.entries(methods).map(([member, method]) => [
      member,
      async (request: object = {}, options: CallOptions = {}) => {
        const all = { ...byDefault, ...options };
        const { message, trailers } = await callRaw(client, `/${fullName}/${method.name}`, requestBytes(method, request), all);
        return { message: method.responseType.decode(message), trailers };
      },
    ]),
  ) as unknown as TestClient<S>; // what Object.entries forgets

/** Sends a request to a method that answers with a stream: its messages, one after another, until `cancel`. Throws what the call ends with. */
export const feedOf = <M extends Method>(
  client: Client,
  { fullName }: Description,
  method: M,
  request: Partial<Message<M['requestType']>>,
  options: CallOptions,
): { readonly messages: AsyncIterableIterator<Message<M['responseType']>>; readonly stream: ClientReadableStream<Buffer> } => {
  const stream = client.makeServerStreamRequest(
    `/${fullName}/${method.name}`,
    (bytes: Uint8Array) => Buffer.from(bytes),
    (response) => response,
    requestBytes(method, request),
    metadataOf(options),
  );
  const messages = async function* (): AsyncGenerator<Message<M['responseType']>> {
    for await (const bytes of stream) yield method.responseType.decode(bytes as Buffer) as Message<M['responseType']>; // as its own decoder makes them
  };
  return { messages: messages(), stream };
};

/** What google.rpc.Status says of an error. */
export const detailsOf = (error: ServiceError) => {
  const [bytes] = error.metadata.get(DETAILS_KEY);
  const { details } = Status.decode(Buffer.from(bytes ?? ''));
  const find = (name: string): Uint8Array => details.find(({ type_url }) => type_url.endsWith(`/google.rpc.${name}`))?.value ?? new Uint8Array();
  return {
    ...ErrorInfo.decode(find('ErrorInfo')),
    violations: BadRequest.decode(find('BadRequest')).field_violations.map(({ field, description }) => [field, description]),
  };
};

/** The error that a call ends with. */
export const refusalOf = async (call: Promise<unknown>): Promise<ServiceError> => {
  try {
    await call;
  } catch (error) {
    return error as ServiceError; // calls reject with nothing else
  }
  throw new Error('the call was not refused');
};
