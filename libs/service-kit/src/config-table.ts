import { z } from 'zod';

export type DescribedService = {
  readonly name: string;
  readonly config: z.ZodObject;
  readonly defaultPort: number;
  readonly defaultGrpcPort?: number | undefined;
};

type Row = { readonly variable: string; readonly value: string; readonly description: string; readonly services: string[] };

/** What stands for an absent variable is found where its text goes in, before it is transformed. */
const defaultOf = (schema: z.core.$ZodType): string => {
  if (schema instanceof z.ZodPipe) return defaultOf(schema.in);
  if (schema instanceof z.ZodDefault || schema instanceof z.ZodPrefault) {
    const value = String(schema.def.defaultValue);
    return value === '' ? '' : `\`${value}\``;
  }
  return schema instanceof z.ZodOptional ? '' : '**required**';
};

/** Told with the default of each service, which is not that of another. */
const PORTS = new Set(['PORT', 'GRPC_PORT']);

const escaped = (text: string): string => text.replaceAll('|', String.raw`\|`);

/**
 * Every environment variable of the services as a Markdown table, those that most services read first.
 * @throws {Error} when a variable has no description, or two services describe the same one differently
 */
export const configurationTable = (services: readonly DescribedService[]): string => {
  const rows = new Map<string, Row>();
  for (const { name, config, defaultPort, defaultGrpcPort } of services) {
    const ports: Readonly<Record<string, number | undefined>> = { PORT: defaultPort, GRPC_PORT: defaultGrpcPort };
    for (const [variable, schema] of Object.entries(config.shape)) {
      const description = schema instanceof z.ZodType ? schema.description : undefined;
      if (description === undefined) throw new Error(`${name}: ${variable} has no description`);
      const row = rows.get(variable) ?? { variable, value: defaultOf(schema), description, services: [] };
      if (row.description !== description) throw new Error(`${name}: ${variable} is described otherwise by ${row.services.join(', ')}`);
      row.services.push(variable in ports ? `${name} (\`${ports[variable]}\`)` : name);
      rows.set(variable, row);
    }
  }
  const lines = [...rows.values()]
    .sort((a, b) => b.services.length - a.services.length)
    .map(({ variable, value, description, services: readers }) => {
      const who = readers.length === services.length && !PORTS.has(variable) ? 'all' : readers.join(', ');
      return `| \`${variable}\` | ${value} | ${who} | ${escaped(description)} |`;
    });
  return ['| variable | default | services | |', '|---|---|---|---|', ...lines, ''].join('\n');
};
