import { isIP } from 'node:net';
import type { KafkaSettings } from '@posthorn/kafka';
import { z } from 'zod';
import { fieldErrors } from './problem.js';
import { encryptionKeys } from './secret-box.js';

/** A whole number in an environment variable. */
export const integer = (min: number, max: number) =>
  z
    .string()
    .regex(/^-?\d+$/, 'a whole number')
    .transform(Number)
    .pipe(z.number().min(min).max(max));

/** A switch in an environment variable. */
export const flag = z.stringbool({ truthy: ['true', '1'], falsy: ['false', '0'], error: 'one of true, 1, false, 0' });

/** The address of another service, for those that ask it. */
export const serviceUrl = (service: string, port: number) =>
  z
    .url({ protocol: /^https?$/, error: 'an http or https URL' })
    .default(`http://localhost:${port}`)
    .describe(`Where the ${service} is found`);

/** The names are OpenTelemetry's. Its SDK reads the last three by itself. */
const tracingConfig = {
  OTEL_EXPORTER_OTLP_ENDPOINT: z
    .url({ protocol: /^https?$/, error: 'an http or https URL' })
    .optional()
    .describe('Where spans are sent, by OTLP over HTTP, as protobuf; without it there are none, and OpenTelemetry is not loaded'),
  OTEL_TRACES_SAMPLER_ARG: z
    .string()
    .regex(/^(?:0|1|0?\.\d+|[01]\.0+)$/, 'a share from 0 to 1')
    .transform(Number)
    .default(0.01)
    .describe('Share of the traces that are recorded, of those that begin here; what a producer has decided about its own is kept to, and failures are recorded in any case'),
  OTEL_EXPORTER_OTLP_HEADERS: z.string().optional().describe('Headers for that endpoint, `name=value`, separated by commas'),
  OTEL_SERVICE_NAME: z.string().optional().describe('What the service is called in its spans; its own name when not set'),
  OTEL_RESOURCE_ATTRIBUTES: z.string().optional().describe('What else is said of the process in its spans, `name=value`, separated by commas'),
};

/** What a service needs to listen, log and live; all that one without Kafka takes. */
export const processConfig = {
  PORT: integer(0, 65_535).optional().describe('HTTP port; 0 takes a free one'),
  HOST: z.string().optional().describe('Address to listen on; every IPv6 and IPv4 address of the machine when not set'),
  LOG_LEVEL: z
    .enum(['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'])
    .default('info')
    .describe('Least level that is logged; at `info` there is a line for each request, at `warn` only what somebody should look at'),
  POSTHORN_ADMIN_API_KEY: z
    .string()
    .min(16)
    .optional()
    .describe('The key that may do everything, for the first steps; without it only API keys that exist already are let in'),
  POSTHORN_EXIT_WITH_PARENT: flag
    .default(false)
    .describe('Shut down when standard input ends, so that a service never outlives the process that started it'),
  ...tracingConfig,
};

/** For the services with a gRPC door. */
export const grpcConfig = {
  GRPC_PORT: integer(0, 65_535).optional().describe('gRPC port, on the address of `HOST`; 0 takes a free one'),
};

const kafkaConfig = {
  POSTHORN_KAFKA_BROKERS: z
    .string()
    .transform((text) => text.split(',').map((broker) => broker.trim()))
    .pipe(z.array(z.string().regex(/^.+:\d{1,5}$/, 'host:port, several separated by commas')).min(1))
    .describe('Kafka brokers to ask first, `host:port`, separated by commas'),
  POSTHORN_KAFKA_SSL: flag.default(false).describe('Speak TLS to Kafka'),
  POSTHORN_KAFKA_SASL_MECHANISM: z
    .enum(['plain', 'scram-sha-256', 'scram-sha-512'])
    .optional()
    .describe('How to log in to Kafka; without it there is no login'),
  POSTHORN_KAFKA_SASL_USERNAME: z.string().optional().describe('User name at Kafka'),
  POSTHORN_KAFKA_SASL_PASSWORD: z.string().optional().describe('Password at Kafka'),
  POSTHORN_TOPIC_PREFIX: z
    .string()
    .regex(/^[a-zA-Z0-9._-]{1,100}$/, 'letters, digits, dot, underscore, hyphen')
    .default('posthorn')
    .describe('First part of every topic name and consumer group'),
};

/** The shape shared by the services that use Kafka: `z.object({...commonConfig, …})`. */
export const commonConfig = { ...processConfig, ...kafkaConfig };

/** For the services with tables. */
export const databaseConfig = {
  POSTHORN_DATABASE_URL: z
    .url({ protocol: /^postgres(?:ql)?$/, error: 'a URL like postgres://user:password@host:5432/database' })
    .describe('PostgreSQL database; each service keeps to its own schema in it'),
};

/** For the services that write or read encrypted secrets. */
export const encryptionConfig = {
  POSTHORN_ENCRYPTION_KEYS: encryptionKeys.describe(
    'AES-256 keys for secrets at rest and in topics, `id:base64` of 32 bytes each, separated by commas; the first one encrypts, all decrypt',
  ),
};

const withoutPort = (server: string): string => /^\[(.+)\](?::\d{1,5})?$/.exec(server)?.[1] ?? /^([^:]+):\d{1,5}$/.exec(server)?.[1] ?? server;

const cidr = z.union([z.cidrv4(), z.cidrv6(), z.ipv4(), z.ipv6()]);

/** For the services that send requests to subscribers, or judge the URLs that will be sent to. */
export const egressConfig = {
  POSTHORN_EGRESS_ALLOW_HTTP: flag.default(false).describe('Send to http URLs too, not only https'),
  POSTHORN_EGRESS_ALLOW_CIDRS: z
    .string()
    .default('')
    .refine((text) => text.split(',').every((entry) => entry.trim() === '' || cidr.safeParse(entry.trim()).success), {
      error: 'address ranges like 10.0.0.0/8 or fd00::/8, separated by commas',
    })
    .describe('Address ranges that may be sent to although they are not public, separated by commas'),
  POSTHORN_DNS_SERVERS: z
    .string()
    .transform((text) => text.split(',').map((server) => server.trim()))
    .pipe(z.array(z.string().refine((server) => isIP(withoutPort(server)) !== 0, 'an address like 10.0.0.53, 10.0.0.53:5353 or [fd00::53]:53')).min(1))
    .optional()
    .describe('Name servers that alone are asked for the addresses of subscribers, separated by commas; without it those of the machine, and its other ways of finding a name'),
};

export type ProcessConfig = z.infer<z.ZodObject<typeof processConfig>>;
export type CommonConfig = z.infer<z.ZodObject<typeof commonConfig>>;

/** @property variable or, where one holds JSON, the place in it: `POSTHORN_X[0].name` */
export type ConfigIssue = { readonly variable: string; readonly message: string };

/** The environment does not make a configuration. The message is a block to be read by a person, one line per error. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';

  constructor(readonly issues: readonly ConfigIssue[]) {
    const width = Math.max(...issues.map(({ variable }) => variable.length));
    const lines = issues.map(({ variable, message }) => `  ${variable.padEnd(width)}  ${message}`);
    super(`The configuration has ${issues.length} error${issues.length === 1 ? '' : 's'}:\n${lines.join('\n')}`);
  }
}

/** A variable that is empty counts as not set: that is how Compose and Helm pass on what nobody has given. */
const givenIn = (env: NodeJS.ProcessEnv): NodeJS.ProcessEnv =>
  Object.fromEntries(Object.entries(env).filter(([, value]) => value !== undefined && value !== ''));

const saslIssues = (schema: z.ZodObject, env: NodeJS.ProcessEnv): ConfigIssue[] =>
  'POSTHORN_KAFKA_SASL_MECHANISM' in schema.shape && env['POSTHORN_KAFKA_SASL_MECHANISM'] !== undefined
    ? ['POSTHORN_KAFKA_SASL_USERNAME', 'POSTHORN_KAFKA_SASL_PASSWORD']
        .filter((variable) => env[variable] === undefined)
        .map((variable) => ({ variable, message: 'is not set, but POSTHORN_KAFKA_SASL_MECHANISM is' }))
    : [];

/**
 * Reads a service's configuration. Values never appear in errors: they may be secrets.
 * @throws {ConfigError} with every error at once
 */
export const readConfig = <S extends z.ZodObject>(schema: S, env: NodeJS.ProcessEnv = process.env): z.output<S> => {
  const given = givenIn(env);
  const parsed = schema.safeParse(given);
  const issues = [
    ...fieldErrors(parsed.error?.issues ?? []).map(({ path, message }) => ({
      variable: path,
      message: path in schema.shape && given[path] === undefined ? 'is not set' : message,
    })),
    ...saslIssues(schema, given),
  ];
  if (parsed.success && issues.length === 0) return parsed.data;
  throw new ConfigError(issues);
};

type KafkaConfig = z.infer<z.ZodObject<typeof kafkaConfig>>;

export const kafkaSettings = (config: KafkaConfig, clientId: string): KafkaSettings => ({
  brokers: config.POSTHORN_KAFKA_BROKERS,
  ssl: config.POSTHORN_KAFKA_SSL,
  ...(config.POSTHORN_KAFKA_SASL_MECHANISM && {
    sasl: {
      mechanism: config.POSTHORN_KAFKA_SASL_MECHANISM,
      username: config.POSTHORN_KAFKA_SASL_USERNAME ?? '',
      password: config.POSTHORN_KAFKA_SASL_PASSWORD ?? '',
    },
  }),
  clientId,
  topicPrefix: config.POSTHORN_TOPIC_PREFIX,
});
