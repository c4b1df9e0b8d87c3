import { figure, graph, quantiles, type Board } from './panels.ts';

export const kafkaAndPostgresql: Board = {
  uid: 'posthorn-kafka-and-postgresql',
  title: 'Posthorn: is it Kafka, or PostgreSQL?',
  explains: 'Both as Posthorn sees them. It asks them for everything it does; where one is slow, so is Posthorn. Their own exporters tell why.',
  rows: [
    {
      title: 'Kafka',
      panels: [
        figure({ asks: 'Does Kafka answer?', explains: 'As each service sees it: one that says no while others say yes is a network between them.', unit: 'short', queries: [['min by (service) (posthorn_ready_check{check="kafka"})', '{{service}}']], bounds: { warning: 1, critical: 1, below: true }, says: { '0': { text: 'no', color: 'red' }, '1': { text: 'yes', color: 'green' } }, runbook: 'not-ready' }),
        graph({ asks: 'How long does Kafka take to acknowledge an event?', explains: 'With what the ingestion does itself.', unit: 's', queries: quantiles('posthorn_ingestion_duration_seconds', '', 'door', [0.5, 0.99]) }),
        graph({ asks: 'How long until a change of the registry is published?', explains: 'From the commit in PostgreSQL to the acknowledgement by Kafka; nothing else is in it.', unit: 's', queries: quantiles('posthorn_registry_propagation_seconds', '', '', [0.5, 0.99]) }),
        graph({ asks: 'How many records are behind, in each topic?', explains: 'All topics at once: Kafka or the machine. One of them: its reader.', unit: 'short', queries: [['posthorn:consumer_lag', '{{service}}: {{topic}}']], runbook: 'lag-growing' }),
        graph({ asks: 'How old is the oldest that is not done?', explains: 'In the topics deliveries.delayed.* that is what they are for.', unit: 's', queries: [['max by (service, topic) (posthorn_consumer_oldest_age_seconds{topic!~".+[.]deliveries[.]delayed[.].+"})', '{{service}}: {{topic}}']], runbook: 'events-waiting' }),
        graph({ asks: 'How many publishers are sent away?', explains: 'With 503, because Kafka or PostgreSQL did not answer in time. They have to repeat it.', unit: 'percentunit', queries: [['posthorn:events_unavailable:ratio_rate5m', 'answered with 503']], bounds: { warning: 0.001, critical: 0.01 }, wide: true, runbook: 'ingestion-unavailable' }),
      ],
    },
    {
      title: 'PostgreSQL',
      panels: [
        figure({ asks: 'Does PostgreSQL answer?', explains: 'As each service that needs it sees it.', unit: 'short', queries: [['min by (service) (posthorn_ready_check{check="database"})', '{{service}}']], bounds: { warning: 1, critical: 1, below: true }, says: { '0': { text: 'no', color: 'red' }, '1': { text: 'yes', color: 'green' } }, runbook: 'not-ready' }),
        figure({ asks: 'How full is the database?', explains: 'Of posthorn:database_limit_bytes, which deploy/prometheus/limits.yml sets.', unit: 'percentunit', queries: [['posthorn:database_bytes / scalar(posthorn:database_limit_bytes)', 'used']], bounds: { warning: 0.7, critical: 0.85 }, runbook: 'database-filling' }),
        graph({ asks: 'How large is the database, and in four days?', explains: 'Beside it, what it comes to if it goes on as in the last six hours.', unit: 'bytes', queries: [['posthorn:database_bytes', 'now'], ['predict_linear(posthorn:database_bytes[6h], 4 * 86400)', 'in four days']], runbook: 'database-filling' }),
        graph({ asks: 'How long do the transactions of the history take?', explains: 'Tens of milliseconds, each of hundreds of rows.', unit: 's', queries: quantiles('posthorn_audit_batch_duration_seconds', '', '', [0.5, 0.99]), runbook: 'audit-behind' }),
        graph({ asks: 'How long do claims of event ids take?', explains: 'Milliseconds. They are in the way of every publish.', unit: 's', queries: quantiles('posthorn_ingestion_claim_duration_seconds', '', '', [0.5, 0.99]) }),
        graph({ asks: 'Are the statistics kept up?', explains: 'Figures that are not folded yet: readers add them up each time.', unit: 'short', queries: [['max(posthorn_audit_statistics_deltas)', 'deltas']] }),
        graph({ asks: 'What does retention remove?', explains: '`deleted`: whose tenant keeps less than others; `not_recorded`: too old when it was read. Whole days are dropped without being counted here.', unit: 'reqps', queries: [['sum by (how) (rate(posthorn_audit_expired_rows_total[$__rate_interval]))', '{{how}}']] }),
        graph({ asks: 'How many rounds that were asked for are not in Kafka yet?', explains: 'Redeliveries and replays. Above 0 for long: Kafka does not take them, or the replica that leads is gone.', unit: 'short', queries: [['max(posthorn_audit_rounds_waiting)', 'rounds']] }),
      ],
    },
  ],
};
