import { createServer, type IncomingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';
import { buffer } from 'node:stream/consumers';
import { BinaryReader } from '@bufbuild/protobuf/wire';

export type AttributeValue = string | boolean | number | undefined;
export type Attributes = Readonly<Record<string, AttributeValue>>;

/** A span as it arrived; ids in hexadecimal, of a root span without `parentSpanId`. */
export type ExportedSpan = {
  readonly resource: Attributes;
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId?: string;
  readonly name: string;
  readonly kind: 'unspecified' | 'internal' | 'server' | 'client' | 'producer' | 'consumer';
  readonly startNs: bigint;
  readonly endNs: bigint;
  readonly attributes: Attributes;
  readonly links: readonly { readonly traceId: string; readonly spanId: string }[];
  readonly hasFailed: boolean;
};

/** An OTLP endpoint over HTTP that keeps what it is sent. */
export type OtlpEndpoint = {
  /** For `OTEL_EXPORTER_OTLP_ENDPOINT`. */
  readonly url: string;
  readonly spans: readonly ExportedSpan[];
  /** Of the requests, as they came. */
  readonly headers: readonly IncomingHttpHeaders[];
  /** All that was sent, as it was sent: for what must not be in it. */
  readonly bodies: readonly Buffer[];
  /** What it answers from now on; 200 at first. */
  answer: number;
  close(): Promise<void>;
};

/** The numbers of the fields are those of opentelemetry-proto's `trace.proto`, `common.proto` and `resource.proto`. */
type Fields = Readonly<Record<number, (reader: BinaryReader) => void>>;

const eachField = (reader: BinaryReader, length: number, fields: Fields): void => {
  const end = reader.pos + length;
  while (reader.pos < end) {
    const [field, wireType] = reader.tag();
    const read = fields[field];
    if (read === undefined) reader.skip(wireType, field);
    else read(reader);
  }
};

const message = (reader: BinaryReader, fields: Fields): void => eachField(reader, reader.uint32(), fields);

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

const keyValue = (reader: BinaryReader, into: Record<string, AttributeValue>): void => {
  let key = '';
  let value: AttributeValue;
  message(reader, {
    1: () => (key = reader.string()),
    2: () =>
      message(reader, {
        1: () => (value = reader.string()),
        2: () => (value = reader.bool()),
        3: () => (value = Number(reader.int64())),
        4: () => (value = reader.double()),
      }),
  });
  into[key] = value;
};

const KINDS = ['unspecified', 'internal', 'server', 'client', 'producer', 'consumer'] as const;
const ERROR = 2;

const link = (reader: BinaryReader): ExportedSpan['links'][number] => {
  let [traceId, spanId] = ['', ''];
  message(reader, { 1: () => (traceId = hex(reader.bytes())), 2: () => (spanId = hex(reader.bytes())) });
  return { traceId, spanId };
};

const span = (reader: BinaryReader, resource: Attributes): ExportedSpan => {
  let [traceId, spanId, parentSpanId, name] = ['', '', '', ''];
  let kind: ExportedSpan['kind'] = 'unspecified';
  let [startNs, endNs] = [0n, 0n];
  let hasFailed = false;
  const attributes: Record<string, AttributeValue> = {};
  const links: ExportedSpan['links'][number][] = [];
  message(reader, {
    1: () => (traceId = hex(reader.bytes())),
    2: () => (spanId = hex(reader.bytes())),
    4: () => (parentSpanId = hex(reader.bytes())),
    5: () => (name = reader.string()),
    6: () => (kind = KINDS[reader.int32()] ?? 'unspecified'),
    7: () => (startNs = BigInt(reader.fixed64())),
    8: () => (endNs = BigInt(reader.fixed64())),
    9: () => keyValue(reader, attributes),
    13: () => links.push(link(reader)),
    15: () => message(reader, { 3: () => (hasFailed = reader.int32() === ERROR) }),
  });
  return { resource, traceId, spanId, ...(parentSpanId !== '' && { parentSpanId }), name, kind, startNs, endNs, attributes, links, hasFailed };
};

/** The spans of an `ExportTraceServiceRequest`. */
const spansIn = (body: Uint8Array): readonly ExportedSpan[] => {
  const reader = new BinaryReader(body);
  const spans: ExportedSpan[] = [];
  eachField(reader, body.length, {
    1: () => {
      // The resource stands before its spans in whatever OpenTelemetry's SDKs write.
      const resource: Record<string, AttributeValue> = {};
      message(reader, {
        1: () => message(reader, { 1: () => keyValue(reader, resource) }),
        2: () => message(reader, { 2: () => spans.push(span(reader, resource)) }),
      });
    },
  });
  return spans;
};

export const startOtlpEndpoint = async (): Promise<OtlpEndpoint> => {
  const spans: ExportedSpan[] = [];
  const headers: IncomingHttpHeaders[] = [];
  const bodies: Buffer[] = [];
  const server = createServer((request, response) => {
    void (async () => {
      const isTraces = request.method === 'POST' && request.url === '/v1/traces' && request.headers['content-type'] === 'application/x-protobuf';
      const body = await buffer(request);
      if (!isTraces) {
        response.writeHead(404).end();
        return;
      }
      headers.push(request.headers);
      bodies.push(body);
      if (endpoint.answer === 200) spans.push(...spansIn(body));
      response.writeHead(endpoint.answer, { 'content-type': 'application/x-protobuf' }).end();
    })();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo; // a string only for pipes
  const endpoint: OtlpEndpoint = {
    url: `http://127.0.0.1:${port}`,
    spans,
    headers,
    bodies,
    answer: 200,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
  return endpoint;
};
