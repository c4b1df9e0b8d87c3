import { graph, quantiles, type Board } from './panels.ts';

const oldestOf = (topic: string) => [[`max(posthorn_consumer_oldest_age_seconds{topic=~".+[.]${topic}[.]v1"}) by (service)`, '{{service}}']] as const;

export const deliveryPath: Board = {
  uid: 'posthorn-delivery-path',
  title: 'Posthorn: where on its way does an event lose time?',
  explains: 'A row for each stage, in the order in which an event comes through them. Look for the first one that is slower than it was.',
  rows: [
    {
      title: '1. Accepted by the ingestion',
      panels: [
        graph({ asks: 'How long does acceptance take?', explains: 'From arrival to the acknowledgement by Kafka, claim in PostgreSQL included. Near two seconds: Kafka is about to be given up.', unit: 's', queries: quantiles('posthorn_ingestion_duration_seconds', '', 'door', [0.5, 0.99]) }),
        graph({ asks: 'How long do claims of event ids take in PostgreSQL?', explains: 'Milliseconds. Where it goes up with acceptance, it is PostgreSQL; where it does not, Kafka.', unit: 's', queries: quantiles('posthorn_ingestion_claim_duration_seconds', '', '', [0.5, 0.99]) }),
      ],
    },
    {
      title: '2. Matched by the router',
      panels: [
        graph({ asks: 'How long does the oldest event wait to be matched?', explains: 'Next to nothing. It rises steadily where the router stands still, and in waves where it has too much to do.', unit: 's', queries: oldestOf('events[.]accepted'), bounds: { warning: 10, critical: 120 }, runbook: 'events-waiting' }),
        graph({ asks: 'How many subscriptions match an event?', explains: 'Each is a request to somebody. Twice as many is twice the work for everything below.', unit: 'short', queries: [['sum(rate(posthorn_router_matched_subscriptions_sum[$__rate_interval])) / sum(rate(posthorn_router_matched_subscriptions_count[$__rate_interval]))', 'on average']] }),
        graph({ asks: 'Who asked for the type and did not get the event?', explains: '`filter_false` and `disabled` are as their owners want it; `filter_failed` is a mistake in a filter; `filter_budget` a filter that costs too much.', unit: 'reqps', queries: [['sum by (why) (rate(posthorn_router_near_matches_total[$__rate_interval]))', '{{why}}']], stacked: true }),
        graph({ asks: 'How many events wait for the filters of their tenant?', explains: '0 but for moments. Other tenants do not wait for them.', unit: 'short', queries: [['sum(posthorn_router_waiting_events)', 'events']] }),
      ],
    },
    {
      title: '3. Attempted by the sender',
      panels: [
        graph({ asks: 'How long does the oldest request wait?', explains: 'Read, and neither attempted nor set aside. Next to nothing, whatever subscribers do.', unit: 's', queries: oldestOf('deliveries[.]requested'), bounds: { warning: 10, critical: 120 }, runbook: 'events-waiting' }),
        graph({ asks: 'How long until a first attempt starts?', unit: 's', queries: quantiles('posthorn_delivery_start_latency_seconds', '', 'held', [0.5, 0.99]), explains: '`yes`: held by the limits, the order or the failures of its own subscription.', runbook: 'first-attempts-late' }),
        graph({ asks: 'How long do subscribers take?', explains: 'Of their requests that ended, by whatever end. Ours cannot be quicker than theirs.', unit: 's', queries: quantiles('posthorn_sender_attempt_duration_seconds', '', '', [0.5, 0.95, 0.99]) }),
        graph({ asks: 'Is the sender full?', explains: 'Requests under way; POSTHORN_SENDER_MAX_IN_FLIGHT is the most there can be, for each process.', unit: 'short', queries: [['sum by (instance) (posthorn_sender_inflight)', '{{instance}}']] }),
        graph({ asks: 'What is set aside for later, and why?', explains: 'By the limit of its rate, an open breaker, or because its lane was full of slower ones. It comes back by the delay wheel.', unit: 'reqps', queries: [['sum by (cause) (rate(posthorn_sender_postponed_total[$__rate_interval]))', '{{cause}}']], stacked: true }),
        graph({ asks: 'How many bytes are read and not done?', explains: 'Up and down with the traffic. Flat at its top: the sender reads no more until something is done.', unit: 'bytes', queries: [['sum by (instance) (posthorn_sender_window_bytes)', '{{instance}}']] }),
      ],
    },
    {
      title: '4. Brought back by the delay wheel',
      panels: [graph({ asks: 'How many deliveries wait in each tier?', explains: 'A tier that should empty itself and does not: look whether the role `delay` is ready.', unit: 'short', queries: [['sum by (tier) (posthorn_delay_waiting)', '{{tier}}']], stacked: true, wide: true })],
    },
    {
      title: '5. Recorded by the audit',
      panels: [
        graph({ asks: 'How long does the oldest record wait?', explains: 'The history is as old as the worst of these.', unit: 's', queries: [['max by (topic) (posthorn_consumer_oldest_age_seconds{service="delivery-audit"})', '{{topic}}']], bounds: { warning: 10, critical: 60 }, runbook: 'audit-behind' }),
        graph({ asks: 'How long does a transaction take?', explains: 'Tens of milliseconds. Seconds: PostgreSQL is busy or its disk is slow.', unit: 's', queries: quantiles('posthorn_audit_batch_duration_seconds', '', '', [0.5, 0.99]) }),
        graph({ asks: 'What is written?', explains: 'Rows, by what they tell. None at all while something is sent: look at the two before.', unit: 'reqps', queries: [['sum by (kind) (rate(posthorn_audit_rows_total[$__rate_interval]))', '{{kind}}']], stacked: true, wide: true }),
      ],
    },
  ],
};
