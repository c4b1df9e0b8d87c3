import { topics, type Topic } from './topics.js';

const DAY_MS = 86_400_000;

const kept = ({ cleanup, retentionMs }: Topic): string => {
  if (cleanup === 'compact') return 'the latest of each key';
  return retentionMs === undefined ? 'for ever' : `${retentionMs / DAY_MS} days`;
};

const row = (topic: Topic): string => {
  const { name, key, partitions, record, writers, readers } = topic;
  const cells = [`\`${name}\``, key, partitions, kept(topic), record ? `\`${record}\`` : "the producers' own", writers.join(', '), readers.join(', ')];
  return `| ${cells.join(' | ')} |`;
};

/** The catalogue as a Markdown table, for the documentation. */
export const topicTable = (): string =>
  [
    '| topic | key | partitions | kept | record | written by | read by |',
    '|---|---|---|---|---|---|---|',
    ...topics.map(row),
    '',
  ].join('\n');
