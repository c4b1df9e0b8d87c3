import colors from 'picocolors';
import { urlOf, type Settings } from './services.js';

export type ClosingOptions = {
  readonly settings: Settings;
  readonly elapsed: string;
  /** As seen from where the user is. */
  readonly dir: string;
  readonly topic: string | undefined;
};

const EXAMPLE = `'{"type":"demo.order","data":{"total":42}}'`;

const entry = (title: string, ...lines: readonly string[]): string => [`  ${colors.gray(title)}`, ...lines.map((line) => `    ${line}`)].join('\n');

/** What to try next, made to be copied line by line. */
export const closing = ({ settings, elapsed, dir, topic }: ClosingOptions): string => {
  const url = urlOf(settings.ports, 'gateway');
  const tenant = `${url}/v1/tenants/default`;
  const key = `-H "Authorization: Bearer $POSTHORN_ADMIN_API_KEY"`;
  return [
    '',
    `  ${colors.bold(`Posthorn is up after ${elapsed} s`)} at ${colors.cyan(url)}   ${colors.gray('Ctrl-C stops it')}`,
    '',
    entry('The keys and addresses, for the commands below', `set -a; . ${dir}/env; set +a`),
    entry('Publish an event', `curl ${key} -H 'content-type: application/json' \\`, `  -d ${EXAMPLE} ${tenant}/events`),
    ...(topic === undefined
      ? []
      : [entry('The same through Kafka', `echo ${EXAMPLE} | kcat -P -b ${settings.brokers} -t ${topic}`)]),
    entry('What became of it', `curl ${key} ${tenant}/deliveries`),
    entry('Logs', `tail -f ${dir}/logs/*.log`),
    '',
  ].join('\n');
};
