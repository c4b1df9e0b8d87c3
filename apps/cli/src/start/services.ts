/** The services that `start` runs, as plain values: which, on what ports, with what environment. */
export type ServiceName = 'subscription-registry' | 'event-ingestion' | 'dispatcher' | 'delivery-audit' | 'gateway';

export type Service = {
  readonly name: ServiceName;
  /** Taken unless somebody listens there already. */
  readonly port: number;
  /** Of a service that also speaks gRPC. */
  readonly grpcPort?: number;
  /** Stopped in ascending order: who lets work in first, who writes down what became of it last. */
  readonly stopOrder: number;
};

export const services: readonly Service[] = [
  { name: 'subscription-registry', port: 8081, grpcPort: 9081, stopOrder: 3 },
  { name: 'event-ingestion', port: 8082, grpcPort: 9082, stopOrder: 1 },
  { name: 'dispatcher', port: 8083, stopOrder: 2 },
  { name: 'delivery-audit', port: 8084, grpcPort: 9084, stopOrder: 3 },
  { name: 'gateway', port: 8080, stopOrder: 0 },
];

export type Ports = Readonly<Record<ServiceName, number>>;
export type GrpcPorts = Readonly<Partial<Record<ServiceName, number>>>;

export type Settings = {
  readonly ports: Ports;
  readonly grpcPorts: GrpcPorts;
  readonly brokers: string;
  readonly databaseUrl: string;
  readonly adminApiKey: string;
  readonly encryptionKeys: string;
};

const variableOf = (service: ServiceName, what: 'URL' | 'GRPC_ADDRESS' | 'PID'): string => `POSTHORN_${service.replaceAll('-', '_').toUpperCase()}_${what}`;

export const urlOf = (ports: Ports, service: ServiceName): string => `http://127.0.0.1:${ports[service]}`;

const urls = (ports: Ports): Record<string, string> => Object.fromEntries(services.map(({ name }) => [variableOf(name, 'URL'), urlOf(ports, name)]));

/** As gRPC clients take them: host and port, no scheme. */
const grpcAddresses = (ports: GrpcPorts): Record<string, string> =>
  Object.fromEntries(
    services.flatMap(({ name }) => (ports[name] === undefined ? [] : [[variableOf(name, 'GRPC_ADDRESS'), `127.0.0.1:${ports[name]}`]])),
  );

/**
 * What a service gets on top of our own environment. Subscribers on loopback over plain http are allowed here and in no other
 * way of running Posthorn; in return nothing listens beyond loopback.
 */
export const environmentOf = (service: ServiceName, { ports, grpcPorts, brokers, databaseUrl, adminApiKey, encryptionKeys }: Settings): Record<string, string> => ({
  ...(service === 'gateway' ? urls(ports) : {}),
  // What a disabled subscription was not told, only the audit knows.
  ...(service === 'subscription-registry' && { [variableOf('delivery-audit', 'URL')]: urlOf(ports, 'delivery-audit') }),
  // A refused event is published again by asking those who take events in.
  ...(service === 'delivery-audit' && { [variableOf('event-ingestion', 'URL')]: urlOf(ports, 'event-ingestion') }),
  PORT: String(ports[service]),
  ...(grpcPorts[service] !== undefined && { GRPC_PORT: String(grpcPorts[service]) }),
  HOST: '127.0.0.1',
  POSTHORN_KAFKA_BROKERS: brokers,
  POSTHORN_DATABASE_URL: databaseUrl,
  POSTHORN_ADMIN_API_KEY: adminApiKey,
  POSTHORN_ENCRYPTION_KEYS: encryptionKeys,
  POSTHORN_EGRESS_ALLOW_HTTP: 'true',
  POSTHORN_EGRESS_ALLOW_CIDRS: '127.0.0.0/8,::1/128',
  POSTHORN_EXIT_WITH_PARENT: '1',
});

/** The env file: how tools and scripts find what runs. One `KEY=value` a line, so that a shell can read it too. */
export const envFile = ({ ports, grpcPorts, brokers, databaseUrl, adminApiKey }: Settings, pids: ReadonlyMap<ServiceName, number>): string =>
  Object.entries({
    POSTHORN_URL: urlOf(ports, 'gateway'),
    POSTHORN_ADMIN_API_KEY: adminApiKey,
    POSTHORN_KAFKA_BROKERS: brokers,
    POSTHORN_DATABASE_URL: databaseUrl,
    ...urls(ports),
    ...grpcAddresses(grpcPorts),
    ...Object.fromEntries([...pids].map(([name, pid]) => [variableOf(name, 'PID'), pid])),
  })
    .map(([key, value]) => `${key}=${value}\n`)
    .join('');

/** Services that may stop at the same time, in the order of their groups. */
export const stopGroups = (): readonly (readonly ServiceName[])[] => {
  const orders = [...new Set(services.map(({ stopOrder }) => stopOrder))].toSorted((a, b) => a - b);
  return orders.map((order) => services.filter(({ stopOrder }) => stopOrder === order).map(({ name }) => name));
};
