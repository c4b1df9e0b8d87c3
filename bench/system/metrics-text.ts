/** Prometheus' text format, as far as the services write it. */
type Sample = { readonly name: string; readonly labels: string; readonly value: number };

const SAMPLE = /^([a-z_]+)\{([^}]*)\} (\S+)$/;

const samplesOf = (text: string, name: string): readonly Sample[] =>
  text.split('\n').flatMap((line) => {
    if (!line.startsWith(name)) return [];
    const [, found = '', labels = '', value] = SAMPLE.exec(line) ?? [];
    return found === name ? [{ name, labels, value: Number(value) }] : [];
  });

/** The sum of a metric's samples that have the label. */
export const sumOf = (text: string, name: string, label: string): number =>
  samplesOf(text, name)
    .filter(({ labels }) => labels.split(',').includes(label))
    .reduce((sum, { value }) => sum + value, 0);

/** `posthorn_consumer_lag` by topic, without prefix and version. */
export const lagsOf = (text: string): ReadonlyMap<string, number> =>
  new Map(
    samplesOf(text, 'posthorn_consumer_lag').map(({ labels, value }) => {
      const [, topic = ''] = /topic="([^"]*)"/.exec(labels) ?? [];
      return [topic.replace(/^[^.]+\./, '').replace(/\.v\d+$/, ''), value];
    }),
  );
