import { graph, type Board } from './panels.ts';

export const incident: Board = {
  uid: 'posthorn-incident',
  title: 'Posthorn: what has changed in the last hour?',
  explains: 'When something began, something else began just before. Put the cursor on the first graph that bends.',
  rows: [
    {
      title: 'What we did',
      panels: [
        graph({ asks: 'Was anything restarted?', explains: 'By us, or by what watches over the processes; the blue lines say when.', unit: 'short', queries: [['sum by (service) (changes(process_start_time_seconds[5m]))', '{{service}}']] }),
        graph({ asks: 'Was anything deployed?', explains: 'A second version beside the first, and the first gone: that was a deployment.', unit: 'short', queries: [['count by (service, version) (posthorn_build_info)', '{{service}} {{version}}']], stacked: true }),
        graph({ asks: 'Was anything configured?', explains: 'Changes in the registry: subscriptions, event types, tenants, keys.', unit: 'reqps', queries: [['sum(rate(posthorn_registry_propagation_seconds_count[$__rate_interval]))', 'changes']] }),
        graph({ asks: 'Was anything sent again?', explains: 'Redeliveries and replays that users asked for. They are work like any other.', unit: 'reqps', queries: [['sum by (trigger) (rate(posthorn_audit_rounds_asked_total[$__rate_interval]))', '{{trigger}}']], stacked: true }),
      ],
    },
    {
      title: 'What others did',
      panels: [
        graph({ asks: 'Is more published than an hour ago?', explains: 'By all doors together.', unit: 'reqps', queries: [['sum(posthorn:events:rate5m)', 'now'], ['sum(posthorn:events:rate5m offset 1h)', 'an hour ago']] }),
        graph({ asks: 'Is more refused?', explains: 'The share of what is published. A change of a schema shows here at once.', unit: 'percentunit', queries: [['posthorn:events_refused:ratio_rate10m', 'refused']], bounds: { warning: 0.01, critical: 0.05 }, runbook: 'events-refused' }),
        graph({ asks: 'Do more attempts fail?', explains: 'The share of all. A step up: one large subscriber, or our way out. The same as an hour ago: it is not this.', unit: 'percentunit', queries: [['posthorn:attempts_failing:ratio_rate15m', 'now'], ['posthorn:attempts_failing:ratio_rate15m offset 1h', 'an hour ago']], bounds: { warning: 0.2, critical: 0.5 }, runbook: 'attempts-failing' }),
        graph({ asks: 'Which way do circuit breakers go?', explains: 'Many `open` at one moment have something in common: a provider, a region, us.', unit: 'short', queries: [['sum by (to) (increase(posthorn_breaker_transitions_total[5m]))', '{{to}}']], runbook: 'breakers-open' }),
      ],
    },
    {
      title: 'What came of it',
      panels: [
        graph({ asks: 'Which alerts fire?', explains: 'The order in which they began is the order to read their pages in.', unit: 'short', queries: [['sum by (alertname) (ALERTS{alertname=~"Posthorn.+", alertstate="firing"}) or vector(0)', '{{alertname}}']], stacked: true }),
        graph({ asks: 'What is not ready?', explains: '1 for each part of a service that does not work.', unit: 'short', queries: [['sum by (service, check) (1 - posthorn_ready_check)', '{{service}}: {{check}}']], runbook: 'not-ready' }),
        graph({ asks: 'What waits, and for how long?', explains: 'Accepted, and neither attempted nor set aside.', unit: 's', queries: [['posthorn:oldest_undelivered_seconds', '{{topic}}']], bounds: { warning: 10, critical: 120 }, runbook: 'events-waiting' }),
        graph({ asks: 'How many first attempts are late?', explains: 'Later than a second after acceptance, without those that their own subscription holds. The aim is one in a thousand.', unit: 'percentunit', queries: [['posthorn:first_attempts_late:ratio_rate5m', 'of five minutes'], ['posthorn:first_attempts_late:ratio_rate1h', 'of an hour']], bounds: { warning: 0.001, critical: 0.0144 }, runbook: 'first-attempts-late' }),
      ],
    },
  ],
};
