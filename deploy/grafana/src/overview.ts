import { figure, graph, quantiles, type Board } from './panels.ts';

export const overview: Board = {
  uid: 'posthorn-overview',
  title: 'Posthorn: is it all right?',
  explains: 'The first page to look at. If the figures are green, subscribers get what they were promised.',
  rows: [
    {
      title: 'In one look',
      panels: [
        figure({ asks: 'Is every service ready?', explains: 'What /readyz says, of the worst replica of each service.', unit: 'short', queries: [['min by (service) (posthorn_ready)', '{{service}}']], bounds: { warning: 1, critical: 1, below: true }, says: { '0': { text: 'no', color: 'red' }, '1': { text: 'yes', color: 'green' } }, runbook: 'not-ready' }),
        figure({ asks: 'How many first attempts start within a second?', explains: 'The aim is 99.9 %, over the last hour here; without those whose own subscription lets them wait.', unit: 'percentunit', queries: [['1 - posthorn:first_attempts_late:ratio_rate1h', 'in time']], bounds: { warning: 0.999, critical: 0.99, below: true }, runbook: 'first-attempts-late' }),
        figure({ asks: 'How long has the oldest been waiting?', explains: 'What was accepted and is neither attempted nor set aside for later.', unit: 's', queries: [['max(posthorn:oldest_undelivered_seconds)', 'oldest']], bounds: { warning: 10, critical: 120 }, runbook: 'events-waiting' }),
        figure({ asks: 'How far behind is the history?', explains: 'What people look up is as old as this; deliveries do not wait for it.', unit: 's', queries: [['posthorn:audit_behind_seconds', 'behind']], bounds: { warning: 10, critical: 60 }, runbook: 'audit-behind' }),
        figure({ asks: 'How many alerts fire?', explains: 'Those of deploy/prometheus, by page and by ticket; each has a page in the runbook.', unit: 'short', queries: [['count(ALERTS{alertname=~"Posthorn.+", alertstate="firing"}) or vector(0)', 'alerts']], bounds: { warning: 1, critical: 3 } }),
      ],
    },
    {
      title: 'Traffic',
      panels: [
        graph({ asks: 'What comes in, and what becomes of it?', explains: '`unavailable`: the publisher got a 503 and has to repeat it; `rejected`: it was not valid; `duplicate`: it had come before.', unit: 'reqps', queries: [['sum by (outcome) (rate(posthorn_ingestion_events_total[$__rate_interval]))', '{{outcome}}']], stacked: true, runbook: 'events-refused' }),
        graph({ asks: 'What goes out, and how does it end?', explains: '`retrying` and `failed` are mostly an affair of the subscribers, unless they become most of it.', unit: 'reqps', queries: [['sum by (outcome) (rate(posthorn_sender_attempts_total[$__rate_interval]))', '{{outcome}}']], stacked: true, runbook: 'attempts-failing' }),
        graph({ asks: 'How long until a first attempt starts?', explains: 'From acceptance. Only those that their own subscription does not hold.', unit: 's', queries: quantiles('posthorn_delivery_start_latency_seconds', '{held="no"}', '', [0.5, 0.99, 0.999]), bounds: { warning: 0.5, critical: 1 }, runbook: 'first-attempts-late' }),
        graph({ asks: 'How long until it has ended?', explains: 'Here the subscribers take part: their answers are waited for.', unit: 's', queries: quantiles('posthorn_delivery_latency_seconds', '', '', [0.5, 0.99, 0.999]) }),
      ],
    },
    {
      title: 'What waits',
      panels: [
        graph({ asks: 'How many records are behind?', explains: 'A little and going up and down is usual. Look for what only goes up. Without the tiers of the delay wheel, which are meant to be full.', unit: 'short', queries: [['sum by (service, topic) (posthorn_consumer_lag{topic!~".+[.]deliveries[.]delayed[.].+"})', '{{service}}: {{topic}}']], runbook: 'lag-growing' }),
        graph({ asks: 'How many deliveries wait for their next attempt?', explains: 'Those that failed or were set aside, by how long they still wait. It grows when a large subscriber is down, and shrinks after.', unit: 'short', queries: [['sum by (tier) (posthorn_delay_waiting)', '{{tier}}']], stacked: true }),
        graph({ asks: 'What do the subscriptions with work do?', explains: '`open`: cut off by a circuit breaker; `paused`: they asked for time.', unit: 'short', queries: [['sum by (state) (posthorn_sender_lanes)', '{{state}}']], stacked: true, runbook: 'breakers-open' }),
        graph({ asks: 'How much waits for its turn by order?', explains: 'Ordered deliveries behind one of the same key that is to be retried. Nobody but the owners of those keys waits for them.', unit: 'short', queries: [['sum(posthorn_sender_backlog_deliveries)', 'deliveries'], ['sum(posthorn_sender_blocked_keys)', 'keys']] }),
      ],
    },
  ],
};
